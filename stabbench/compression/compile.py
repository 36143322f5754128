"""``compile``: the model through ``torch.compile``: the same weights, fused kernels."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import ClassVar

import torch
from torch import Tensor

from stabbench.compression._artifact import companions, load_model, save_model
from stabbench.compression.base import Compressor, Material, torch_model
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class Compile(Compressor):
    """The float32 model compiled for any batch size and length, weights frozen into the kernels.

    The artifact is the float32 model: kernels are built on the machine that loads it, at the first text.
    """

    version: ClassVar[int] = 1
    instruction_set: ClassVar[bool] = True
    smaller: ClassVar[bool] = False
    slow: ClassVar[bool] = True
    paper: ClassVar[str] = "Ansel et al. 2024, PyTorch 2, ASPLOS, doi:10.1145/3620665.3640366"
    equation: ClassVar[str] = "f_compiled(x) = f(x) up to the rounding of fused kernels"
    changes: ClassVar[str] = "Kernels are fused and built for this processor; the weights are the same float32 numbers."
    cost: ClassVar[str] = "The first call builds the kernels with a C++ compiler, up to a minute or more."
    departures: ClassVar[str] = "none: torch.compile with dynamic shapes; Inductor's weight freezing is on."
    pitfalls: ClassVar[str] = """
        Needs a C++ compiler where it runs. A process pays for building at its first call; latency's warm rounds do not
        show that. Not smaller.
    """

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write the float32 model; nothing is built yet."""
        save_model(copy.deepcopy(torch_model(subject, "compile")), subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject whose kernels are built when it first scores.

        Raises:
            ConfigurationError: there is no C++ compiler here.
        """
        if compiler() is None:
            raise ConfigurationError(["compile needs a C++ compiler where it runs: install g++, or set CXX"])
        model = load_model(folder).model
        assert model is not None
        with _old_parts():
            compiled = torch.compile(model, dynamic=True, options={"freezing": True})
        tokenizer, classes, longest = companions(folder)

        def score(batch: Batch) -> Tensor:
            with torch.no_grad(), _old_parts():
                logits: Tensor = compiled(**batch.inputs()).logits
            return logits.float()

        return Subject(tokenizer, score, classes, longest, None, folder)


def compiler() -> str | None:
    """Return the C++ compiler that kernels would be built with, or None."""
    return next((found for name in (os.environ.get("CXX"), "g++", "clang++") if name and (found := which(name))), None)


@contextmanager
def _old_parts() -> Iterator[None]:
    """Inductor imports parts of torch that torch itself declares old; nobody here can mend that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
