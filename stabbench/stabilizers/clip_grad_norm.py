"""Clipping of the global gradient norm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from stabbench.stabilizers.base import Gradients, Stabilizer


@dataclass(kw_only=True)
class ClipGradNorm(Stabilizer):
    """Scales all gradients together so that their global L2 norm is at most `max_norm`: g ← g · min(1, c/‖g‖)."""

    paper = "Pascanu, Mikolov & Bengio (2013), arXiv:1211.5063, Algorithm 1"
    equation = "g ← g · min(1, c/‖g‖₂), with ‖g‖₂ over all parameters"
    changes = "the gradients of steps whose norm is above c; their direction stays"
    cost = "one multiplication of the gradients; the norm is measured anyway"
    pitfalls = (
        "Adam does not see a constant factor, so clipping matters where the factor varies over time; a norm that is "
        "NaN or infinite is not mended: the step is taken and the run ends as failed"
    )
    null = {"max_norm": math.inf}
    owns = frozenset({"the clipping of gradients"})

    max_norm: Annotated[float, Field(gt=0, description="c: largest global norm kept; .inf never clips")] = 1.0

    def on_gradients(self, gradients: Gradients) -> None:
        """Scale in place; the factor stays on the device, so that nothing waits for it."""
        if math.isinf(self.max_norm):
            return
        norm = torch.linalg.vector_norm(gradients.norms)
        factor = (self.max_norm / norm).clamp(max=1.0)
        torch._foreach_mul_([p.grad for p in gradients.parameters if p.grad is not None], factor)
