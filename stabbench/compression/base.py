"""What a compressor is: it makes a smaller or faster subject and leaves the one it is given untouched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stabbench import registry
from stabbench.data.example import Text
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.subject import Logits, Subject
from stabbench.registry import Plugin

DIVERGED = "diverged.txt"
"""The only file of an artifact whose parent holds NaN or infinities: such weights have no integer form."""


class Compressor(Plugin):
    """Makes a compressed artifact in a folder, and a subject from the folder.

    A subclass is a frozen dataclass whose fields are its options. An artifact holds every number the subject computes
    with, its config and its tokenizer, so that the folder's bytes are what a deployment ships; no pickle.

    Attributes:
        instruction_set: True where the result depends on the processor's instruction set; then it is part of the key.
    """

    instruction_set: ClassVar[bool] = False

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return what the key needs to know."""
        return {"instruction_set": cls.instruction_set}

    def compress(self, subject: Subject, calibration: Sequence[Text], folder: Path) -> None:
        """Write the artifact of `subject` into the empty `folder`; `calibration` holds training texts only."""
        raise NotImplementedError

    def load(self, folder: Path, parent: Subject) -> Subject:
        """Return the subject of the artifact in `folder`; architecture, tokenizer and classes come from `parent`."""
        raise NotImplementedError


def compress(chain: str, subject: Subject, calibration: Sequence[Text], folder: Path) -> None:
    """Write the artifact of a chain (``a+b``: first a, then b on what a gave) into the empty `folder`.

    Only the last stage's artifact is kept: it is what a deployment ships. A diverged model (NaN or infinite weights) is
    a result, not an error: its artifact says so, and the subject that it gives answers NaN.
    """
    if subject.model is not None and not _finite(subject.model):
        (folder / DIVERGED).write_text(
            "The weights hold NaN or infinities; nothing was compressed.\n", encoding="utf-8"
        )
        return
    *earlier, last = chain.split("+")
    with TemporaryDirectory(prefix="stabbench-") as scratch:
        for index, name in enumerate(earlier):
            stage: Compressor = registry.load("compression", name)()
            part = Path(scratch, str(index))
            part.mkdir()
            stage.compress(subject, calibration, part)
            subject = stage.load(part, subject)
        registry.load("compression", last)().compress(subject, calibration, folder)


def load_compressed(chain: str, folder: Path, parent: Subject) -> Subject:
    """Return the subject of the artifact that `compress` wrote; `parent` is the dense subject it was made from."""
    if (folder / DIVERGED).is_file():
        return Subject(
            parent.tokenizer, _nan_logits(len(parent.classes)), parent.classes, parent.max_length, None, folder
        )
    compressor: Compressor = registry.load("compression", chain.split("+")[-1])()
    return compressor.load(folder, parent)


def torch_model(subject: Subject, compressor: str) -> Any:
    """Return the subject's float32 torch module.

    Raises:
        ConfigurationError: it has none, because an earlier stage of the chain left torch or float32.
    """
    if not isinstance(subject.model, nn.Module):
        raise ConfigurationError(
            [
                f"compressions: '{compressor}' needs a float32 torch model, and the stage before it gives none. "
                f"Put '{compressor}' first in the chain, or use it alone."
            ]
        )
    return subject.model


def save_companions(subject: Subject, folder: Path) -> None:
    """Write config and tokenizer beside the weights, so that the artifact's size is what a deployment ships."""
    torch_model(subject, "a compressor").config.save_pretrained(folder)
    subject.tokenizer.save_pretrained(folder)


def _finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def _nan_logits(classes: int) -> Logits:
    def score(batch: Batch) -> Tensor:
        return torch.full((len(batch), classes), torch.nan)

    return score
