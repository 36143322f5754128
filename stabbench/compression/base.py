"""What a compressor is: it makes a smaller or faster subject and leaves the one it is given untouched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from stabbench import registry
from stabbench.data.example import Dataset, Example, Text
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.subject import Logits, Subject
from stabbench.registry import Plugin
from stabbench.seeding import TrialSeeds
from stabbench.suite.compressions import chain_problems, parse_stage, stages

DIVERGED = "diverged.txt"
"""The only file of an artifact whose parent holds NaN or infinities: such weights have no integer form."""
Level = Literal["runtime", "torch", "encoder"]
"""What a stage leaves: a float32 torch model with its usual blocks, any float32 torch model, or none."""
Runtime = Literal["torch", "onnxruntime", "openvino"]


@dataclass(frozen=True)
class Material:
    """What a compressor may look at: training examples, where there are any, never the validation or the test split.

    Attributes:
        examples: the trial's training split, in order; of an audit without one, the texts it measures.
        seeds: the trial's seeds: a compressor that trains draws from their streams.
    """

    examples: tuple[Example, ...] = ()
    seeds: TrialSeeds = TrialSeeds(0, 0)  # noqa: RUF009  frozen

    def texts(self, count: int) -> list[Text]:
        """Return the texts of the first `count` examples."""
        return [example.content for example in self.examples[:count]]


class Compressor(Plugin, ABC):
    """Makes a compressed artifact in a folder, and a subject from the folder.

    A subclass is a frozen dataclass whose fields are its options. An artifact holds every number the subject computes
    with, its config and its tokenizer, so that the folder's bytes are what a deployment ships; no pickle.

    Attributes:
        instruction_set: True where the result depends on the processor's instruction set; then it is part of the key.
        needs: what the stage before it must leave (see `Level`).
        gives: what it leaves itself; a chain leaves the least of what its stages do.
        trains: True where it draws random numbers of the trial's streams; then the seed is part of the key.
        smaller: False where the artifact is about as large as the dense model's folder.
        packages: packages that it needs beside the core's.
        calibrates: name of the option that counts the training texts it looks at, or empty.
        runtime: what runs the artifact; where it is not torch, a deployment needs neither torch nor transformers.
        slow: True where making a subject takes more than some seconds even for a tiny model.
    """

    instruction_set: ClassVar[bool] = False
    needs: ClassVar[Level] = "torch"
    gives: ClassVar[Level] = "runtime"
    trains: ClassVar[bool] = False
    smaller: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()
    calibrates: ClassVar[str] = ""
    runtime: ClassVar[Runtime] = "torch"
    slow: ClassVar[bool] = False

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return what keys and the checks of chains need to know."""
        names = ("instruction_set", "needs", "gives", "trains", "smaller", "calibrates", "runtime")
        return {**{name: getattr(cls, name) for name in names}, "packages": list(cls.packages)}

    @classmethod
    def plugin_name(cls) -> str:
        """Return its name in a suite."""
        return cls.__module__.rpartition(".")[2].replace("_", "-")

    @abstractmethod
    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write the artifact of `subject` into the empty `folder`."""

    @abstractmethod
    def load(self, folder: Path) -> Subject:
        """Return the subject of the artifact in `folder`, which holds all of it: shape, weights, tokenizer, classes."""


def material_for(chain: str, dataset: Dataset, seed: str) -> Material:
    """Return what a chain may look at for the trial of `seed`.

    An audit has no training split: the texts that it measures then decide the scales of activations. No label of them
    is read, because a stage that trains is refused.

    Raises:
        ConfigurationError: a stage trains, and there are no training examples.
    """
    lacking = [] if dataset.train else [text for text in stages(chain) if stage_of(text).trains]
    if lacking:
        raise ConfigurationError([f"compression {lacking[0]} trains, and data.train has no examples; give some"])
    return Material(dataset.train or dataset.test, TrialSeeds.parse(seed))


def compress(chain: str, subject: Subject, material: Material, folder: Path) -> None:
    """Write the artifact of a chain (``a+b``: first a, then b on what a gave) into the empty `folder`.

    Only the last stage's artifact is kept: it is what a deployment ships. A diverged model (NaN or infinite weights) is
    a result, not an error: its artifact says so, and the subject that it gives answers NaN.

    Raises:
        ConfigurationError: the stages cannot follow each other, or a package is missing; the message names the stage.
    """
    check_chain(chain)
    if subject.model is not None and not _finite(subject.model):
        (folder / DIVERGED).write_text(
            "The weights hold NaN or infinities; nothing was compressed.\n", encoding="utf-8"
        )
        return
    *earlier, last = stages(chain)
    with TemporaryDirectory(prefix="stabbench-") as scratch:
        for index, text in enumerate(earlier):
            stage = stage_of(text)
            part = Path(scratch, str(index))
            part.mkdir()
            stage.compress(subject, material, part)
            subject = stage.load(part)
        stage_of(last).compress(subject, material, folder)


def load_compressed(chain: str, folder: Path, parent: Subject) -> Subject:
    """Return the subject of the artifact that `compress` wrote; `parent` is the dense subject it was made from."""
    if (folder / DIVERGED).is_file():
        return Subject(
            parent.tokenizer, _nan_logits(len(parent.classes)), parent.classes, parent.max_length, None, folder
        )
    return stage_of(stages(chain)[-1]).load(folder)


def runtime_of(chain: str) -> Runtime:
    """Return what runs the artifact of a chain: what its last stage says."""
    return type(stage_of(stages(chain)[-1])).runtime


def stage_of(text: str) -> Compressor:
    """Return the compressor of one stage's text, with its options."""
    name, options = parse_stage(text)
    stage: Compressor = registry.load("compression", name)(**options)
    return stage


def check_chain(chain: str) -> None:
    """Raise where a chain cannot work.

    Raises:
        ConfigurationError: with the place in the chain and the reason.
    """
    parts = stages(chain)
    found = [f"compressions: {chain}, stage {index + 1}: {why}" for index, why in chain_problems(parts)]
    if found:
        raise ConfigurationError(found)


def missing_packages(name: str) -> list[str]:
    """Return the packages that a compressor needs and that are not installed."""
    packages: Sequence[str] = registry.card("compression", name).traits["packages"]
    return [package for package in packages if find_spec(package) is None]


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


def _finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def _nan_logits(classes: int) -> Logits:
    def score(batch: Batch) -> Tensor:
        return torch.full((len(batch), classes), torch.nan)

    return score
