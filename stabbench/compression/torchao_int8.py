"""``torchao-int8``: torchao's int8 with activations quantised token by token. Needs ``torchao``."""

from __future__ import annotations

import copy
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.compression._artifact import companions, load_model, save_model
from stabbench.compression.base import Compressor, Material, torch_model
from stabbench.models.batch import Batch
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class TorchaoInt8(Compressor):
    """Linear maps in int8 by torchao, one scale for each token's activations and each output channel; compiled.

    The artifact is the float32 model: torchao's tensors have no form on disk without pickle, so that the model is
    quantised when it is loaded, in under a second. The size on disk is therefore that of the dense model.
    """

    version: ClassVar[int] = 1
    instruction_set: ClassVar[bool] = True
    smaller: ClassVar[bool] = False
    slow: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("torchao",)
    paper: ClassVar[str] = "torchao, Int8DynamicActivationInt8WeightConfig (documentation); arXiv:1712.05877"
    equation: ClassVar[str] = """
        y_t = s_t s_w,i q(x_t) · q(w_i) + b_i, q symmetric to int8, s_t = max |x_t| / 127 of token t alone
    """
    changes: ClassVar[str] = "Linear maps compute in int8; embeddings and layer norms stay in float32."
    cost: ClassVar[str] = "No training and no calibration; the first call compiles, up to a minute or more."
    departures: ClassVar[str] = "none: the library's quantize_ with its default configuration."
    pitfalls: ClassVar[str] = """
        Not smaller on disk here. Without `compiled` it is slower than float32 at batch 1. Answers depend little on the
        company: scales are a token's own.
    """

    compiled: Annotated[bool, Field(description="compile after quantising; needs a C++ compiler")] = True

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write the float32 model that is quantised when it is loaded."""
        save_model(copy.deepcopy(torch_model(subject, "torchao-int8")), subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject on the quantised model."""
        quantization: Any = importlib.import_module("torchao.quantization")
        model = load_model(folder).model
        assert isinstance(model, nn.Module)
        quantization.quantize_(model, quantization.Int8DynamicActivationInt8WeightConfig())
        scored: Any = torch.compile(model, dynamic=True, options={"freezing": True}) if self.compiled else model
        tokenizer, classes, longest = companions(folder)

        def score(batch: Batch) -> Tensor:
            with torch.no_grad():
                logits: Tensor = scored(**batch.inputs()).logits
            return logits.float()

        return Subject(tokenizer, score, classes, longest, None, folder)
