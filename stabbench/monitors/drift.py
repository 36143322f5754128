"""How far the weights have moved from where training began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.monitors._blocks import Blocks
from stabbench.monitors.base import Monitor, Step
from stabbench.records import Measurement


@dataclass(kw_only=True)
class Drift(Monitor):
    """Records ‖θ − θ⁰‖/‖θ⁰‖ per block every few steps and after the last one.

    θ⁰ are the trainable weights before the first step, after stabilizers prepared the model: the pretrained ones but
    for the new head and whatever was drawn anew. Arrays in ``trace.npz`` (K measured steps, L blocks): drift_step (K,)
    int64, the number of steps done; drift (K, L) float32. A block that is not trained, or began at zero, is NaN.
    Measured is ``train.drift`` at the end: per block at {block}, and of all weights.
    """

    paper = "distance from the pretrained weights, after Mosbach et al. (2021), arXiv:2006.04884"
    equation = "d_l(t) = ‖θ_l(t) − θ_l(0)‖₂ / ‖θ_l(0)‖₂"
    changes = "nothing"
    cost = "one more copy of the weights in memory; two reads of the weights per measured step"
    departures = "relative distances per block, where the paper restores layers"
    pitfalls = "weight averages and merged adapters come after the end that is measured here"

    every: Annotated[int, Field(ge=1, description="steps between two measurements")] = 20

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Keep a copy of the weights."""
        self._names = anatomy.block_names
        self._blocks = Blocks(model, anatomy)
        self._origin = [weight.clone() for weight in self._blocks.weights()]
        self._size = self._blocks.norms(self._origin)
        self._done = 0
        self._steps: list[int] = []
        self._found: list[Tensor] = []

    def observe(self, step: Step) -> None:
        """Measure where the step's turn has come."""
        self._done = step.index + 1
        if self._done % self.every == 0:
            self._measure()

    def end(self) -> None:
        """Measure the last weights, and free the copy."""
        if not self._steps or self._steps[-1] != self._done:
            self._measure()
        self._origin = []

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        size = self._size.double().cpu().numpy()
        moved = torch.stack(self._found).double().cpu().numpy()
        relative = moved / np.where(size > 0, size, np.nan)
        return {"drift_step": np.array(self._steps, dtype=np.int64), "drift": relative.astype(np.float32)}

    def measurements(self) -> list[Measurement]:
        """Return the numbers named in the class docstring; n counts measured steps."""
        n = len(self._steps)
        last = self.arrays()["drift"][-1]
        whole = float(self._found[-1].double().norm() / self._size.double().norm())
        found = [
            Measurement("train.drift", float(value), "ratio", "neither", {"block": name}, 1, n)
            for name, value in zip(self._names, last, strict=True)
        ]
        return [*found, Measurement("train.drift", whole, "ratio", "neither", {}, 1, n)]

    def _measure(self) -> None:
        self._found.append(self._blocks.distance(self._origin))
        self._steps.append(self._done)
