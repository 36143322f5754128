"""Clipping of the global norm where it is an outlier among the recent ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._clipping import global_norm, scale_to
from stabbench.stabilizers.base import Gradients, Stabilizer

TINY = 1e-6
"""Added to σ before it divides, so that equal norms have z = 0."""


@dataclass(kw_only=True)
class Zclip(Stabilizer):
    """Clips the global norm where it lies more than z* standard deviations above its moving average."""

    paper = "Kumar, Owen, Chowdhury & Güra (2025), arXiv:2504.02507 (ZClip)"
    equation = (
        "z = (‖g‖ − μ)/σ; where z > z*: c = μ + (z*²/z) σ, else c = ‖g‖; g ← g · min(1, min(c, C)/‖g‖); "
        "μ ← αμ + (1−α)c, then σ² ← ασ² + (1−α)(c − μ)²; μ and σ² begin as mean and variance of the first N norms"
    )
    changes = "the length of gradients that are spikes, and of all longer than the cap C; their direction stays"
    cost = "a few numbers and one multiplication of the gradients per step; no pass"
    departures = "none; z divides by σ + 1e-6 as the authors' code does"
    pitfalls = (
        "before N steps only the cap acts, so a run of N steps or fewer is plain norm clipping; fine-tuning has its "
        "largest norms there. With the default cap of 1, c matters only where norms are mostly below 1: raise C to see "
        "the method itself. A larger spike is clipped harder than a smaller one, down to μ"
    )
    null = {"z_threshold": math.inf, "max_norm": math.inf}
    owns = frozenset({"the clipping of gradients"})

    z_threshold: Annotated[float, Field(gt=0, description="z*: standard deviations above the average")] = 2.5
    alpha: Annotated[float, Field(ge=0, lt=1, description="α: share of μ and σ² kept at each step")] = 0.97
    warmup_steps: Annotated[int, Field(ge=2, description="N: norms that μ and σ² begin with")] = 25
    max_norm: Annotated[float, Field(gt=0, description="C: largest norm kept at any step; .inf: no cap")] = 1.0

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Forget what another run has seen."""
        self._first: list[Tensor] = []
        self._moments: tuple[Tensor, Tensor] | None = None

    def on_gradients(self, gradients: Gradients) -> None:
        """Clip in place and take the norm into the averages; nothing waits for the device."""
        if math.isinf(self.z_threshold) and math.isinf(self.max_norm):
            return
        norm = global_norm(gradients)
        kept = norm if self._moments is None else self._kept(norm, *self._moments)
        self._take(kept)
        scale_to(gradients, norm, kept.clamp(max=self.max_norm))

    def _kept(self, norm: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Return c, the norm that is kept before the cap."""
        deviation = variance.sqrt()
        z = (norm - mean) / (deviation + TINY)
        return torch.where(z > self.z_threshold, mean + self.z_threshold**2 / z * deviation, norm)

    def _take(self, kept: Tensor) -> None:
        if self._moments is not None:
            mean, variance = self._moments
            mean = self.alpha * mean + (1 - self.alpha) * kept
            self._moments = mean, self.alpha * variance + (1 - self.alpha) * (kept - mean).square()
            return
        self._first.append(kept)
        if len(self._first) == self.warmup_steps:
            norms = torch.stack(self._first)
            self._moments, self._first = (norms.mean(), norms.var(correction=0)), []

    def state_dict(self) -> dict[str, object]:
        """Return μ and σ², or the norms that they will begin with."""
        return {"first": self._first, "moments": self._moments}
