"""Adaptive gradient clipping: the gradient of an output row is bounded by a share of the row's own norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import Gradients, Stabilizer


@dataclass(kw_only=True)
class Agc(Stabilizer):
    """Clips the gradient of each output row to λ times the norm of the row's weights."""

    paper = "Brock, De, Smith & Simonyan (2021), arXiv:2102.06171, §4, equation (3)"
    equation = (
        "Gᵢ ← λ (w/‖Gᵢ‖) Gᵢ where ‖Gᵢ‖/w > λ, with w = max(‖Wᵢ‖, ε), for row i of a matrix (one output unit, one word "
        "of an embedding table) and for a vector (bias, scale of a norm) as a whole"
    )
    changes = "the gradients of rows that would change by a large share of themselves; each row keeps its direction"
    cost = "two reads of the weights and three of the gradients per step; no pass"
    departures = "the head is left out as in the paper, the pooler is not"
    pitfalls = (
        "λ = 0.01 was found with batches of 1024 and more; for small ones libraries advise 0.08 to 0.16. "
        "Biases that start at 0 have w = ε, so their gradients are clipped to λε at first. Some ports clip nested "
        "modules repeatedly or forget to leave the head out. Adam divides most of a constant factor away"
    )
    null = {"clip_factor": math.inf}
    owns = frozenset({"the clipping of gradients"})

    clip_factor: Annotated[float, Field(gt=0, description="λ: largest ‖Gᵢ‖ as a share of ‖Wᵢ‖; .inf never clips")] = (
        0.01
    )
    eps: Annotated[float, Field(gt=0, description="ε: least norm of a row, so that rows at 0 can move")] = 1e-3

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Remember which parameters are the head's."""
        self._head = {id(parameter) for parameter in anatomy.head.parameters()}

    def on_gradients(self, gradients: Gradients) -> None:
        """Clip row by row in place; nothing waits for the device."""
        if math.isinf(self.clip_factor):
            return
        for parameter in gradients.parameters:
            if parameter.grad is None or id(parameter) in self._head:
                continue
            limit = self.clip_factor * row_norms(parameter.detach()).clamp(min=self.eps)
            norms = row_norms(parameter.grad)
            parameter.grad.mul_(torch.where(norms > limit, limit / norms, 1.0))


def row_norms(tensor: Tensor) -> Tensor:
    """Return the L2 norm of each row i of W[i, …], shaped (R, 1, …) to fit it; of a vector or scalar, its own, ()."""
    axes = tuple(range(1, tensor.dim())) or None
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=axes, keepdim=axes is not None)
    return norms
