"""Adversarial training on word embeddings, several projected steps along the gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._embeddings import EmbeddingSearch
from stabbench.stabilizers.base import Backward, Objective, Place, Stabilizer


@dataclass(kw_only=True)
class Pgd(Stabilizer):
    """Trains on each batch with its word embeddings moved to where projected gradient ascent finds a high loss."""

    paper = (
        "Madry et al. (2018), arXiv:1706.06083, §2.1 and equation (2.1); on word embeddings as the baseline of Zhu et "
        "al. (2020), arXiv:1909.11764 (FreeLB)"
    )
    equation = (
        "min_θ L(x + δ_K), δ₀ = 0, δ_k = Π(δ_{k−1} + α g_k/‖g_k‖₂) with g_k = ∇_δ L(x + δ_{k−1}) over the word "
        "embeddings (T, H) of one example, and Π the projection to ‖δ‖₂ ≤ ε"
    )
    changes = "the gradient of every step: that of the moved batch; the batch as it is gives none"
    cost = "K + 1 forward and K + 1 backward passes per step, by default 4 and 4"
    departures = (
        "the ball is ‖·‖₂ over an example's embeddings, as in FreeLB; the paper's is ‖·‖∞ over pixels. It starts at "
        "δ = 0 and not at a random point, so that the first pass is the plain one, whose loss is traced. All K + 1 "
        "passes have the same dropout masks. Padding is never moved"
    )
    pitfalls = (
        "with K α ≤ ε the projection never acts, and ε does nothing. Embeddings differ in length between models: an ε "
        "does not carry over. On word embeddings no point of the ball is a text, so robustness here is not "
        "robustness to words"
    )
    null = {"epsilon": 0.0}
    passes = ("steps + 1 if epsilon else 1", "steps + 1 if epsilon else 1")

    epsilon: Annotated[float, Field(ge=0, description="ε: largest L2 length of δ per example; 0: plain training")] = 1.0
    steps: Annotated[int, Field(ge=1, description="K: ascent steps")] = 3
    step_size: Annotated[float, Field(gt=0, description="α: L2 length of one ascent step per example")] = 0.4
    special_tokens: Annotated[
        bool, Field(description="move the tokens that begin, end and part texts too, such as [CLS] and [SEP]")
    ] = True

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Listen at the output of the word embeddings."""
        self._model = model
        self._search = EmbeddingSearch(
            anatomy.word_embeddings, lambda mask, place: torch.zeros_like(mask), self.special_tokens
        )

    def wrap_backward(self, backward: Backward) -> Backward:
        """Return K + 1 passes, of which only the last leaves its gradients."""
        if self.epsilon == 0:
            return backward

        def adversarial(draw: int = 0, scale: float = 1.0) -> Objective:
            with self._search.running():
                clean = backward(draw, scale)
                for _ in range(self.steps):
                    self._search.ascend(self.step_size, self.epsilon)
                    self._model.zero_grad(set_to_none=True)
                    backward(draw, scale)
            return clean

        return adversarial

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Move the embeddings of this forward."""
        self._search.on_forward(batch, place)

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        self._search.remove()
