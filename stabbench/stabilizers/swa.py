"""Stochastic weight averaging: the plain mean of the weights of the last part of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._shares import steps_of
from stabbench.stabilizers.base import Schedule, Stabilizer


@dataclass(kw_only=True)
class Swa(Stabilizer):
    """Ends with the mean of the weights over the last part of training, in which the learning rate stays constant."""

    paper = "Izmailov, Podoprikhin, Garipov, Vetrov & Wilson (2018), arXiv:1803.05407 (SWA), Algorithm 1"
    equation = "θ̄ = (1/n) Σ θ_t over t = t₀, t₀ + e, t₀ + 2e … < T, with t₀ = T − ⌈(1−s)T⌉; η_t = η_{t₀} for t ≥ t₀"
    changes = "the final weights, and the learning rate from step t₀ on"
    cost = "one read and write of a copy of the weights per averaged step; one copy in memory; no pass"
    departures = (
        "a point every step instead of one an epoch, because fine-tuning has few epochs; a constant rate, not a cyclic "
        "one; no statistics are computed anew, because models of this family have no batch normalisation"
    )
    pitfalls = (
        "with a rate that falls to 0 (constant_rate: false) the points are nearly equal and the mean changes little. "
        "The constant rate is the schedule's at t₀: 0.3 η under a linear one with s = 0.7. List it after warmup, which "
        "stretches what stands before it. A run that stops before t₀ keeps its last weights"
    )
    null = {"start": 1.0}
    owns = frozenset({"the final weights"})

    start: Annotated[float, Field(ge=0, le=1, description="s: share of all steps before the first point; 1: none")] = (
        0.7
    )
    every: Annotated[int, Field(ge=1, description="e: steps from one point to the next")] = 1
    constant_rate: Annotated[bool, Field(description="hold the learning rate from the first point on")] = True

    def wrap_schedule(self, schedule: Schedule, steps: int) -> Schedule:
        """Return the schedule, held from the first point on."""
        first = self._first_point(steps)
        if not self.constant_rate or first >= steps:
            return schedule
        return lambda step: schedule(min(step, first))

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Make room for the mean."""
        self._first = self._first_point(steps)
        self._count = 0
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._mean: list[Tensor] = [torch.zeros_like(p) for p in self._parameters] if self._first < steps else []

    def on_step(self, model: nn.Module, step: int) -> None:
        """Take the step's weights in: θ̄ ← θ̄ + (θ − θ̄)/n."""
        if not self._mean or step < self._first or (step - self._first) % self.every:
            return
        self._count += 1
        torch._foreach_lerp_(self._mean, [p.detach() for p in self._parameters], 1.0 / self._count)

    def finish_model(self, model: nn.Module) -> None:
        """Put the mean in place of the last weights."""
        if self._count:
            torch._foreach_copy_([p.detach() for p in self._parameters], self._mean)

    def state_dict(self) -> dict[str, object]:
        """Return the mean and the number of its points."""
        return {"mean": self._mean, "count": self._count}

    def _first_point(self, steps: int) -> int:
        return steps - steps_of(1.0 - self.start, steps)
