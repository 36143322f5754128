"""Clipping of every entry of the gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from stabbench.stabilizers.base import Gradients, Stabilizer


@dataclass(kw_only=True)
class ClipGradValue(Stabilizer):
    """Clips every entry of the gradient to [−v, v]."""

    paper = (
        "Mikolov (2012), Statistical Language Models Based on Neural Networks (thesis), as told by Pascanu, Mikolov & "
        "Bengio (2013), arXiv:1211.5063, §3"
    )
    equation = "gᵢ ← max(−v, min(v, gᵢ)) for every entry i"
    changes = "entries of the gradient above v; the direction of the gradient changes with them"
    cost = "two reads and writes of the gradients; no pass"
    departures = "clips the gradient of the step's loss, not that of single time steps of a recurrent network"
    pitfalls = (
        "turns the gradient, unlike a clipped norm; no value is published for BERT, and the right one scales with the "
        "loss and with the size of the batch; the head has the largest entries and is clipped first; a NaN stays a NaN"
    )
    null = {"max_value": math.inf}
    owns = frozenset({"the clipping of gradients"})

    max_value: Annotated[float, Field(gt=0, description="v: largest entry kept; .inf never clips")] = 0.01

    def on_gradients(self, gradients: Gradients) -> None:
        """Clip in place."""
        if math.isinf(self.max_value):
            return
        given = [p.grad for p in gradients.parameters if p.grad is not None]
        torch._foreach_clamp_max_(given, self.max_value)
        torch._foreach_clamp_min_(given, -self.max_value)
