"""Consistency of predictions under small noise on the word embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._divergence import symmetric_kl
from stabbench.stabilizers._draws import generator
from stabbench.stabilizers._embeddings import EmbeddingShift, movable
from stabbench.stabilizers.base import Forward, Loss, Objective, Place, Stabilizer


@dataclass(kw_only=True)
class R3f(Stabilizer):
    """Runs every batch with and without noise on its word embeddings and pulls the two predictions together."""

    paper = "Aghajanyan et al. (2021), arXiv:2008.03156 (R3F)"
    equation = (
        "L(x) + λ (KL(p_z‖p) + KL(p‖p_z)), p = f(x), p_z = f(x + z), z ~ U(−ε, ε) or N(0, ε²) for each number of the "
        "word embeddings; divergences are averaged over the batch"
    )
    changes = "the objective"
    cost = "2 forward and 2 backward passes per step"
    departures = (
        "both passes have the same dropout masks unless shared_dropout is off; in the paper and its code each has its "
        "own, and the term then measures dropout far more than noise, as R-Drop does. Gradients of the noisy pass "
        "reach the table of embeddings, which the released code cuts off. R4F's spectral norm of the head is not here"
    )
    pitfalls = (
        "at ε = 1e-5 and shared dropout the term is of the order ε², below what float32 resolves beside the "
        "cross-entropy, and in bf16 the noise mostly rounds away: raise ε to see an effect"
    )
    null = {"weight": 0.0}
    streams = frozenset({"extra"})
    passes = ("2 if weight else 1", "2 if weight else 1")

    weight: Annotated[float, Field(ge=0, description="λ: weight of the divergence; 0: plain training")] = 1.0
    epsilon: Annotated[float, Field(gt=0, description="ε: bound or standard deviation of the noise")] = 1e-5
    noise: Annotated[Literal["uniform", "normal"], Field(description="distribution of the noise")] = "uniform"
    shared_dropout: Annotated[bool, Field(description="the same dropout masks in both passes")] = True

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Listen at the output of the word embeddings."""
        self._shift = EmbeddingShift(anatomy.word_embeddings)
        self._width = anatomy.word_embeddings.embedding_dim
        self._seed = seeds.stream("extra")
        self._place = Place(0, 0, 0, 0)

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective with a second, noisy pass."""
        if self.weight == 0:
            return loss

        def consistent(forward: Forward, batch: Batch) -> Objective:
            first = loss(forward, batch)
            with self._shift.by(self._noise(batch)):
                noisy = forward(batch, 0 if self.shared_dropout else 1)
            divergence = symmetric_kl(noisy, first.logits).mean()
            return Objective(first.total + self.weight * divergence, first.cross_entropy, first.logits)

        return consistent

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Remember the place, by which the noise is drawn."""
        self._place = place

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        self._shift.remove()

    def _noise(self, batch: Batch) -> Tensor:
        mask = movable(batch, True, self._width)
        draws = generator(mask.device, self._seed, "r3f", *self._place)
        if self.noise == "normal":
            return self.epsilon * torch.randn(mask.shape, generator=draws, device=mask.device) * mask
        return self.epsilon * (2 * torch.rand(mask.shape, generator=draws, device=mask.device) - 1) * mask
