"""Adversarial training on word embeddings in which every ascent step also trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._draws import generator
from stabbench.stabilizers._embeddings import EmbeddingSearch
from stabbench.stabilizers.base import Backward, Objective, Place, Stabilizer


@dataclass(kw_only=True)
class Freelb(Stabilizer):
    """Averages the gradients of all K points that an ascent over the word embeddings visits, into one step."""

    paper = "Zhu et al. (2020), arXiv:1909.11764, Algorithm 1 (FreeLB)"
    equation = (
        "g = (1/K) Σ_{k<K} ∇_θ L(x + δ_k); δ₀ = m u/√(n H), u ~ U(−1, 1) on the n tokens of an example; δ_{k+1} = "
        "Π(δ_k + α ∇_δ L/‖∇_δ L‖₂), Π the projection to ‖δ‖₂ ≤ r"
    )
    changes = "the gradient of every step: the mean over K moved copies of the batch"
    cost = "K forward and K backward passes per step, by default 3 and 3"
    departures = (
        "K passes are averaged, as in the paper and the released code for ALBERT; the released code for RoBERTa does "
        "one plain pass more and divides by K + 1. The paper has one ε for m and r; here they are two options, as in "
        "its code. The defaults are that code's for ALBERT-xxlarge on SST-2. δ is drawn anew for every micro-batch"
    )
    pitfalls = (
        "“3 steps” differ between the two released codes. Embeddings differ in length between models: α, m and r do "
        "not carry over. The traced loss is that of the first pass, at δ₀ and not at 0. The released code makes no "
        "difference between [CLS], [SEP] and words, nor does the default here"
    )
    null = {"steps": 0}
    streams = frozenset({"extra"})
    passes = ("steps if steps else 1", "steps if steps else 1")

    steps: Annotated[int, Field(ge=0, description="K: passes that are averaged; 0: plain training")] = 3
    step_size: Annotated[float, Field(ge=0, description="α: L2 length of one ascent step per example")] = 0.1
    initial: Annotated[float, Field(ge=0, description="m: the random start has an L2 length of about m/√3")] = 1.0
    radius: Annotated[float, Field(ge=0, description="r: largest L2 length of δ after a step; 0: no limit")] = 0.6
    special_tokens: Annotated[
        bool, Field(description="move the tokens that begin, end and part texts too, such as [CLS] and [SEP]")
    ] = True

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Listen at the output of the word embeddings."""
        self._seed = seeds.stream("extra")
        self._search = EmbeddingSearch(anatomy.word_embeddings, self._start, self.special_tokens)

    def wrap_backward(self, backward: Backward) -> Backward:
        """Return K passes at a K-th of the scale, with an ascent step between any two."""
        if self.steps == 0:
            return backward

        def free(draw: int = 0, scale: float = 1.0) -> Objective:
            with self._search.running():
                first = backward(draw, scale / self.steps)
                for _ in range(self.steps - 1):
                    self._search.ascend(self.step_size, self.radius)
                    backward(draw, scale / self.steps)
            return first

        return free

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Move the embeddings of this forward."""
        self._search.on_forward(batch, place)

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        self._search.remove()

    def _start(self, mask: Tensor, place: Place) -> Tensor:
        draws = generator(mask.device, self._seed, "freelb", *place)
        drawn = torch.rand(mask.shape, generator=draws, device=mask.device)
        return initial_delta(2 * drawn - 1, mask, self.initial)


def initial_delta(drawn: Tensor, mask: Tensor, magnitude: float) -> Tensor:
    """Return δ₀ = m u/√(n H) where the mask is 1, for u (B, T, H) in [−1, 1]; n H is the sum of an example's mask."""
    places = mask.sum(dim=(1, 2), keepdim=True).clamp(min=1.0)
    return magnitude * drawn * mask / places.sqrt()
