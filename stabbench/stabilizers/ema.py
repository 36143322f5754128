"""Exponential moving average of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import Stabilizer


@dataclass(kw_only=True)
class Ema(Stabilizer):
    """Ends with an exponential average of the weights over the steps instead of the last ones."""

    paper = "Polyak & Juditsky (1992); exponential form as in Tarvainen & Valpola (2017), arXiv:1703.01780"
    equation = "θ̄_T = Σ_t d^(T−t) θ_t / Σ_t d^(T−t) over steps t = 1 … T, with d = 2^(−1/(h·T)) for half-life h·T steps"
    changes = "the final weights only; training itself runs as without it"
    cost = "one read and write of a copy of the weights per step; one copy in memory"
    departures = "the average is exactly unbiased: the starting weights θ⁰ have no share in it"
    pitfalls = "with a learning rate that falls to 0 a short half-life averages nearly equal points and changes little"
    null = {"half_life": 0.0}
    owns = frozenset({"the final weights"})

    half_life: Annotated[
        float, Field(ge=0, le=1, description="h: share of all steps after which a step's weight has halved")
    ] = 0.07

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Make room for the average."""
        self._decay = 2.0 ** (-1.0 / (self.half_life * steps)) if self.half_life > 0 else 0.0
        self._weight = 0.0
        self._average: list[Tensor] = [torch.zeros_like(p) for p in _trained(model)]

    def on_step(self, model: nn.Module, step: int) -> None:
        """Take the step's weights in: θ̄ ← θ̄ + (θ − θ̄)/w with w ← d·w + 1, the sum of all shares so far."""
        self._weight = self._decay * self._weight + 1.0
        torch._foreach_lerp_(self._average, [p.detach() for p in _trained(model)], 1.0 / self._weight)

    def finish_model(self, model: nn.Module) -> None:
        """Put the average in place of the last weights."""
        if self._weight > 0:
            torch._foreach_copy_([p.detach() for p in _trained(model)], self._average)

    def state_dict(self) -> dict[str, object]:
        """Return the average and the sum of its shares."""
        return {"average": self._average, "weight": self._weight}


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
