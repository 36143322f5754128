"""``bf16``: every weight and every product in bfloat16."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file

from stabbench.compression._artifact import save_model, skeleton, subject_of
from stabbench.compression.base import Compressor, Material, torch_model
from stabbench.models.loading import WEIGHTS
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class Bf16(Compressor):
    """The model cast to bfloat16 as a whole; its logits are given in float32.

    The artifact is a folder as libraries write it, with ``model.safetensors`` in bfloat16. `Subject.model` is None: it
    has no float32 gradient.
    """

    version: ClassVar[int] = 1
    instruction_set: ClassVar[bool] = True
    paper: ClassVar[str] = "Kalamkar et al. 2019, A Study of BFLOAT16 for Deep Learning Training, arXiv:1905.12322"
    equation: ClassVar[str] = """
        w' = w rounded to the nearest number with 8 bits of mantissa (hidden one included) and float32's exponents:
        |w' − w| ≤ 2⁻⁸ |w|; activations likewise after every operation.
    """
    changes: ClassVar[str] = "Weights and activations are bfloat16, layer norms and softmax inputs too."
    cost: ClassVar[str] = "No training and no calibration; half the size at once."
    departures: ClassVar[str] = "A plain cast: no layer is kept in float32."
    pitfalls: ClassVar[str] = """
        Fast where the processor multiplies bfloat16 (avx512_bf16, AMX); elsewhere it is emulated and may be slower than
        float32. Logits are rounded to 8 bits too, so that near ties become ties.
    """

    def compress(self, subject: Subject, material: Material, folder: Path) -> None:
        """Write the cast weights; no text is used."""
        model = copy.deepcopy(torch_model(subject, "bf16")).to(torch.bfloat16)
        save_model(model, subject, folder)

    def load(self, folder: Path) -> Subject:
        """Return a subject that computes in bfloat16."""
        model = skeleton(folder).to(torch.bfloat16)
        model.load_state_dict(load_file(folder / WEIGHTS), strict=False)
        return subject_of(model.eval(), folder, None)
