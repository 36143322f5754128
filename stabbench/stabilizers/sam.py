"""Sharpness-aware minimisation: the gradient at a near point of higher loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._shares import steps_of
from stabbench.stabilizers.base import Backward, Objective, Stabilizer


@dataclass(kw_only=True)
class Sam(Stabilizer):
    """Takes each step's gradient not at the weights but a small way up the gradient from them."""

    paper = (
        "Foret et al. (2021), arXiv:2010.01412, Algorithm 1 (SAM); adaptive: Kwon et al. (2021), arXiv:2102.11600 "
        "(ASAM); for fine-tuning: Bahri et al. (2022), arXiv:2110.08529"
    )
    equation = (
        "g = ∇L(θ + e), e = ρ ∇L(θ)/‖∇L(θ)‖₂ over all weights; adaptive: e = ρ T² ∇L(θ)/‖T ∇L(θ)‖₂ with T = |θ| + η "
        "for weights and T = 1 for biases"
    )
    changes = "the gradient of every step from T_s = ⌈start · T⌉ on"
    cost = "2 forward and 2 backward passes per step, 1 and 1 before T_s; one copy of the weights"
    departures = (
        "it starts after a tenth of the steps, the papers' from the first: one public record of matched fine-tuning "
        "runs found that ascent during the first plateau prolongs it. Both passes have the same dropout masks. The "
        "ascent follows the gradient of the whole step, all micro-batches together; weights are put back as they "
        "were, bit for bit, not by subtraction"
    )
    pitfalls = (
        "e grows with no learning rate: late steps at a small rate are still taken at θ + e. Clipping acts on the "
        "second gradient only, and raw norms are of it. ρ of the adaptive form is about ten times as large (0.5 to 2)"
    )
    null = {"rho": 0.0}
    passes = ("2 - start if rho else 1", "2 - start if rho else 1")

    rho: Annotated[float, Field(ge=0, description="ρ: L2 length of the way up, over all weights; 0: no ascent")] = 0.05
    adaptive: Annotated[bool, Field(description="measure lengths relative to the weights (ASAM)")] = False
    eta: Annotated[float, Field(ge=0, description="η: added to |θ| in the adaptive form")] = 0.01
    start: Annotated[float, Field(ge=0, le=1, description="share of all steps before the first ascent; 1: never")] = 0.1

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Remember the model, and the first step with an ascent."""
        self._model = model
        self._first = steps_of(self.start, steps)
        self._step = 0

    def wrap_backward(self, backward: Backward) -> Backward:
        """Return the pass at θ followed by the one at θ + e, which alone leaves its gradients."""
        if self.rho == 0 or self._step < self._first:
            return backward

        def sharpness_aware(draw: int = 0, scale: float = 1.0) -> Objective:
            here = backward(draw, scale)
            with self._above():
                backward(draw, scale)
            return here

        return sharpness_aware

    def on_step(self, model: nn.Module, step: int) -> None:
        """Count."""
        self._step = step + 1

    def state_dict(self) -> dict[str, object]:
        """Return the next step."""
        return {"step": self._step}

    @contextmanager
    def _above(self) -> Iterator[None]:
        """Move the weights to θ + e and clear the gradients; put the weights back afterwards."""
        moved = [_Moved(name, p) for name, p in self._model.named_parameters() if p.grad is not None]
        with torch.no_grad():
            scales = [part.scale(self.eta) if self.adaptive else None for part in moved]
            steep = [part.gradient if t is None else t * part.gradient for part, t in zip(moved, scales, strict=True)]
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(steep)))
            factor = torch.where(norm > 0, self.rho / norm, torch.zeros_like(norm))
            for part, t, direction in zip(moved, scales, steep, strict=True):
                part.put(part.before + factor * (direction if t is None else t * direction))
        self._model.zero_grad(set_to_none=True)
        try:
            yield
        finally:
            with torch.no_grad():
                for part in moved:
                    part.put(part.before)


class _Moved:
    """The numbers of one parameter that have a gradient: all, or the rows that a sparse gradient has."""

    def __init__(self, name: str, parameter: nn.Parameter) -> None:
        assert parameter.grad is not None
        self._parameter = parameter
        self._bias = name.rpartition(".")[2] == "bias"
        gradient = parameter.grad.coalesce() if parameter.grad.is_sparse else parameter.grad
        self._rows = gradient.indices()[0] if gradient.is_sparse else None
        self.gradient: Tensor = gradient.values() if gradient.is_sparse else gradient
        given = parameter.detach()
        self.before: Tensor = given.clone() if self._rows is None else given[self._rows]

    def scale(self, eta: float) -> Tensor:
        """Return T: |θ| + η, or 1 for a bias."""
        return torch.ones_like(self.before) if self._bias else self.before.abs() + eta

    def put(self, value: Tensor) -> None:
        """Set the numbers."""
        if self._rows is None:
            self._parameter.copy_(value)
        else:
            self._parameter.index_copy_(0, self._rows, value)
