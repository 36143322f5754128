"""Smoothness under adversarial moves of the embeddings, and steps that stay near an average of earlier models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._divergence import symmetric_kl
from stabbench.stabilizers._draws import generator
from stabbench.stabilizers._embeddings import EmbeddingShift, movable
from stabbench.stabilizers._shares import steps_of
from stabbench.stabilizers.base import Forward, Loss, Objective, Place, Stabilizer

EARLY = 0.1
"""Share of the steps with the early momentum."""


@dataclass(kw_only=True)
class Smart(Stabilizer):
    """Penalises how far adversarial noise moves the predictions, and how far they are from a momentum teacher's."""

    paper = "Jiang et al. (2020), arXiv:1911.03437, Algorithm 1 (SMART)"
    equation = (
        "L(x) + λ ℓ(f(x+δ), f(x)) + μ ℓ(f(x), f(x; θ̃)), ℓ the symmetric KL averaged over the batch; δ = "
        "Π(ν + η g/‖g‖∞), ν ~ N(0, σ²), g = ∇_ν ℓ(f(x+ν), f(x)), Π the projection to |δ| ≤ ε; after each step θ̃ ← "
        "β θ̃ + (1−β) θ"
    )
    changes = "the objective"
    cost = (
        "4 forward and 3 backward passes per step: one forward needs no gradient, and one backward goes to the "
        "embeddings alone; with μ = 0 it is 3 and 3; one copy of the weights"
    )
    departures = (
        "all passes have the same dropout masks, so that neither term measures dropout; the paper does not say. One "
        "ascent step, and one step for each proximal problem (S = 1), as in its experiments. ‖g‖∞ is over one "
        "example. Defaults as remembered of the paper (λ 1 to 5, ε = σ = 1e-5, η = 1e-3, β 0.99, then 0.999), not "
        "checked against it"
    )
    pitfalls = (
        "the public code has no proximal term, and runs its perturbed embeddings through positions, normalisation and "
        "dropout twice. At ε = 1e-5 the divergence is near what float32 resolves, and in bf16 the move rounds away"
    )
    null = {"weight": 0.0, "proximal": 0.0}
    streams = frozenset({"extra"})
    owns = frozenset({"the search over embeddings"})
    passes = ("1 + (2 if weight else 0) + (1 if proximal else 0)", "3 if weight else 1")

    weight: Annotated[float, Field(ge=0, description="λ: weight of the smoothness term; 0: none")] = 1.0
    epsilon: Annotated[float, Field(gt=0, description="ε: largest change of each number of the embeddings")] = 1e-5
    sigma: Annotated[float, Field(gt=0, description="σ: standard deviation of the noise the search starts at")] = 1e-5
    step_size: Annotated[float, Field(gt=0, description="η: length of the ascent step")] = 1e-3
    proximal: Annotated[float, Field(ge=0, description="μ: weight of the divergence from the teacher; 0: none")] = 1.0
    momentum: Annotated[
        float, Field(ge=0, le=1, description="β in the first tenth of the steps: the teacher's share of itself")
    ] = 0.99
    late_momentum: Annotated[float, Field(ge=0, le=1, description="β in all later steps")] = 0.999
    legacy_bug: Annotated[
        bool,
        Field(
            description="rescale ν + η g at each token to ‖·‖∞ = 1 instead of projecting it to ε, with g as long as it "
            "is, as the released code does: a move 1/ε times as long"
        ),
    ] = False

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Listen at the output of the word embeddings; the teacher is copied at the first step."""
        self._shift = EmbeddingShift(anatomy.word_embeddings)
        self._width = anatomy.word_embeddings.embedding_dim
        self._seed = seeds.stream("extra")
        self._place = Place(0, 0, 0, 0)
        self._early = steps_of(EARLY, steps)
        self._model = _Run(model)
        self._teacher: dict[str, Tensor] | None = None

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective with both terms."""
        if self.weight == 0 and self.proximal == 0:
            return loss

        def smooth(forward: Forward, batch: Batch) -> Objective:
            objective = loss(forward, batch)
            total = objective.total
            if self.weight > 0:
                with self._shift.by(self._search(forward, batch, objective.logits.detach())):
                    moved = forward(batch)
                total = total + self.weight * symmetric_kl(moved, objective.logits).mean()
            if self.proximal > 0:
                total = total + self.proximal * symmetric_kl(objective.logits, self._teach(forward, batch)).mean()
            return Objective(total, objective.cross_entropy, objective.logits)

        return smooth

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Remember the place, by which the noise is drawn."""
        self._place = place

    def on_step(self, model: nn.Module, step: int) -> None:
        """Move the teacher towards the model."""
        if self._teacher is None:
            return
        beta = self.momentum if step < self._early else self.late_momentum
        trained = dict(self._model.named_parameters())
        names = list(self._teacher)
        torch._foreach_lerp_([self._teacher[n] for n in names], [trained[n].detach() for n in names], 1 - beta)

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        self._shift.remove()

    def state_dict(self) -> dict[str, object]:
        """Return the teacher's weights."""
        return {} if self._teacher is None else {"teacher": self._teacher}

    def _search(self, forward: Forward, batch: Batch, logits: Tensor) -> Tensor:
        """Return δ, (B, T, H), for the plain pass's logits (B, C)."""
        mask = movable(batch, True, self._width)
        draws = generator(mask.device, self._seed, "smart", *self._place)
        start = self.sigma * torch.randn(mask.shape, generator=draws, device=mask.device) * mask
        start.requires_grad_()
        with self._shift.by(start):
            divergence = symmetric_kl(forward(batch), logits).sum()
        (gradient,) = torch.autograd.grad(divergence, start)
        if self.legacy_bug:
            return rescaled(start.detach() + self.step_size * gradient) * mask
        return ascended(start.detach(), gradient, self.step_size, self.epsilon) * mask

    def _teach(self, forward: Forward, batch: Batch) -> Tensor:
        """Return the teacher's logits (B, C), without a gradient."""
        if self._teacher is None:
            trained = ((name, p) for name, p in self._model.named_parameters() if p.requires_grad)
            self._teacher = {name: parameter.detach().clone() for name, parameter in trained}
        with torch.no_grad():
            logits: Tensor = functional_call(self._model, self._teacher, (forward, batch))
        return logits


class _Run(nn.Module):
    """Holds the model, so that its weights can be others while the loop's own forward runs it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, forward: Forward, batch: Batch) -> Tensor:
        return forward(batch)


def ascended(start: Tensor, gradient: Tensor, step_size: float, epsilon: float) -> Tensor:
    """Return Π(ν + η g/‖g‖∞) with |δ| ≤ ε, the norm over each example's (T, H); Π(ν) where g is 0."""
    largest = gradient.abs().amax(dim=(1, 2), keepdim=True)
    direction = torch.where(largest > 0, gradient / largest.clamp(min=torch.finfo(gradient.dtype).tiny), 0.0)
    return (start + step_size * direction).clamp(-epsilon, epsilon)


def rescaled(move: Tensor) -> Tensor:
    """Return the move (B, T, H) divided at each token by its ‖·‖∞ + 1e-6, as the released code does."""
    return move / (move.abs().amax(dim=-1, keepdim=True) + 1e-6)
