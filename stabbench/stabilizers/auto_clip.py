"""Clipping of the global norm at a percentile of the norms seen so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._clipping import global_norm, scale_to
from stabbench.stabilizers.base import Gradients, Stabilizer


@dataclass(kw_only=True)
class AutoClip(Stabilizer):
    """Clips the global norm at the p-th percentile of the whole history of norms, the present one included."""

    paper = "Seetharaman, Wichern, Pardo & Le Roux (2020), arXiv:2007.14469 (AutoClip)"
    equation = "c_t = percentile_p(‖g_1‖, …, ‖g_t‖) of raw norms, linear between ranks; g ← g · min(1, c_t/‖g_t‖)"
    changes = "the length of the gradient in about (100 − p) % of the steps; its direction stays"
    cost = "one sort of at most T numbers and one multiplication of the gradients per step; no pass"
    departures = "none; the authors' code adds 1e-6 to the norm that it divides by"
    pitfalls = (
        "with p = 10 nine steps in ten are clipped, by design: it takes the place of a schedule, and a high clip rate "
        "is no illness here. The history has no window: in a short fine-tuning the norms of the first steps stay in it "
        "to the end. Adam divides a constant factor away"
    )
    null = {"percentile": 100.0}
    owns = frozenset({"the clipping of gradients"})

    percentile: Annotated[
        float, Field(ge=0, le=100, description="p: 100 never clips, 0 clips at the smallest norm so far")
    ] = 10.0

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Make room for the history, on the device."""
        self._history: Tensor = torch.empty(max(steps, 1), device=next(model.parameters()).device)
        self._seen = 0

    def on_gradients(self, gradients: Gradients) -> None:
        """Take the norm into the history, then clip in place."""
        if self.percentile == 100.0:
            return
        norm = global_norm(gradients)
        if self._seen == len(self._history):
            self._history = torch.cat([self._history, torch.empty_like(self._history)])
        self._history[self._seen] = norm
        self._seen += 1
        scale_to(gradients, norm, torch.quantile(self._history[: self._seen], self.percentile / 100.0))

    def state_dict(self) -> dict[str, object]:
        """Return the norms seen."""
        return {"history": self._history[: self._seen]}
