"""Do successive gradients point the same way, or back and forth?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.monitors.base import Monitor, RawGradients
from stabbench.records import Measurement


@dataclass(kw_only=True)
class GradientCosine(Monitor):
    """Records the cosine between the raw gradients of two successive steps, every few steps.

    Near 0 the batches' gradients have nothing in common but noise; below 0 a step undoes the one before it, as it does
    where the learning rate is above what the curvature allows. Arrays in ``trace.npz`` (K pairs): cosine_step (K,)
    int64, the second step of each pair; gradient_cosine (K,) float32, NaN where a gradient is zero or not finite.
    Measured is ``gradient.cosine``, the median over the pairs that have one.
    """

    paper = "oscillation at the edge of stability: Cohen et al. (2021), arXiv:2103.00065"
    equation = "cos(g_t, g_{t−1}) = ⟨g_t, g_{t−1}⟩ / (‖g_t‖ ‖g_{t−1}‖) over all trainable weights"
    changes = "nothing"
    cost = "one more copy of the gradients in memory; per pair one copy and three reads of the gradients"
    departures = "the paper measures sharpness against 2/η; the cosine is a cheap sign of the same"
    pitfalls = "gradients of R-Drop, FGM or SAM are those of their objectives"

    every: Annotated[int, Field(ge=2, description="steps between two pairs")] = 10

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Begin."""
        self._before: list[Tensor] = []
        self._held = -1
        self._steps: list[int] = []
        self._found: list[Tensor] = []

    def on_raw_gradients(self, gradients: RawGradients) -> None:
        """Keep the first gradient of a pair, compare the second with it."""
        if self._held >= 0 and gradients.index == self._held + 1:
            self._found.append(self._cosine(gradients))
            self._steps.append(gradients.index)
        if gradients.index % self.every == 0:
            self._keep(gradients)
            self._held = gradients.index

    def end(self) -> None:
        """Free the copy."""
        self._before = []

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        found = torch.stack(self._found).float().cpu().numpy() if self._found else np.zeros(0, np.float32)
        return {"cosine_step": np.array(self._steps, dtype=np.int64), "gradient_cosine": found}

    def measurements(self) -> list[Measurement]:
        """Return the number named in the class docstring; n counts pairs."""
        found = self.arrays()["gradient_cosine"]
        known = found[np.isfinite(found)]
        median = float(np.median(known)) if len(known) else None
        return [Measurement("gradient.cosine", median, "cosine", "neither", {}, len(known), len(found))]

    def _keep(self, gradients: RawGradients) -> None:
        if not self._before:
            self._before = [torch.zeros_like(parameter) for parameter in gradients.parameters]
        for kept, parameter in zip(self._before, gradients.parameters, strict=True):
            kept.zero_() if parameter.grad is None else kept.copy_(parameter.grad)

    def _cosine(self, gradients: RawGradients) -> Tensor:
        pairs = [(b, p.grad) for b, p in zip(self._before, gradients.parameters, strict=True) if p.grad is not None]
        inner = torch.stack([torch.dot(before.flatten(), now.flatten()) for before, now in pairs]).sum()
        sizes = (torch.stack(torch._foreach_norm(list(part))).norm() for part in (self._before, [n for _, n in pairs]))
        first, second = sizes
        cosine: Tensor = inner / (first * second)
        return cosine
