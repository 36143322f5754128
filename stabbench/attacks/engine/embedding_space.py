"""Attacks on word embeddings: the search proposes, this base class clips to the budget and judges.

A search cannot report its own success: what counts is the model's answer to the clipped embeddings.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from stabbench.models.batch import Batch
from stabbench.models.hooks import changed_output

LossGradient = Callable[[Tensor], Tensor]
"""(B, T, H) added to the word embeddings → (B, T, H) gradient of the summed cross-entropy with respect to it."""


@dataclass(frozen=True)
class EmbeddingAttack(ABC):
    """Searches for a δ on a text's word embeddings E that changes the answer, ‖δ‖₂ ≤ ε·‖E‖₂ over its real tokens."""

    @abstractmethod
    def propose(self, gradient: LossGradient, radius: Tensor, start: Tensor) -> Tensor:
        """Return (B, T, H) a perturbation that should raise the loss.

        Args:
            gradient: of the loss at a perturbation.
            radius: (B,) largest L2 norm of each text's perturbation.
            start: (B, T, H) clean word embeddings; padding is 0.
        """

    @final
    def attack(self, model: nn.Module, word_embeddings: nn.Module, batch: Batch, epsilon: float) -> Tensor:
        """Return (B, C) logits under the clipped proposal; no gradient is left on the model.

        The word embeddings alone move: positions, segments and layer norm are applied to the moved embeddings once.
        """
        labels = batch.labels
        assert labels is not None
        mask = batch.attention_mask[..., None].float()
        with torch.no_grad():
            clean = word_embeddings(batch.input_ids)
        radius = epsilon * lengths(clean * mask)

        def gradient(delta: Tensor) -> Tensor:
            moved = delta.detach().requires_grad_()
            with torch.enable_grad(), changed_output(word_embeddings, lambda e: e + moved):
                logits = model(**batch.inputs()).logits.float()
                loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
                (found,) = torch.autograd.grad(loss, moved)
            return found * mask

        delta = clipped(self.propose(gradient, radius, clean * mask) * mask, radius)
        with torch.no_grad(), changed_output(word_embeddings, lambda e: e + delta):
            logits: Tensor = model(**batch.inputs()).logits
        return logits.float()


@dataclass(frozen=True)
class FastGradient(EmbeddingAttack):
    """One step δ = r·g/‖g‖₂. Source: Miyato et al. (2017), arXiv:1605.07725, eq. 5."""

    def propose(self, gradient: LossGradient, radius: Tensor, start: Tensor) -> Tensor:
        """Return the step along the gradient at 0."""
        return scaled(gradient(torch.zeros_like(start)), radius)


@dataclass(frozen=True)
class ProjectedGradient(EmbeddingAttack):
    """K steps δ ← Π(δ + a·g/‖g‖₂) with a = 2.5·r/K, from 0. Source: Madry et al. (2018), arXiv:1706.06083, in L2."""

    steps: int

    def propose(self, gradient: LossGradient, radius: Tensor, start: Tensor) -> Tensor:
        """Return the last of the steps."""
        delta = torch.zeros_like(start)
        for _ in range(self.steps):
            delta = clipped(delta + scaled(gradient(delta), 2.5 * radius / self.steps), radius)
        return delta


def lengths(values: Tensor) -> Tensor:
    """Return (B,) L2 norms over everything but the batch."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms


def scaled(values: Tensor, length: Tensor) -> Tensor:
    """Return each row of `values` with L2 norm `length`; a row of zeros stays."""
    return values * (length / lengths(values).clamp_min(1e-30))[:, None, None]


def clipped(values: Tensor, radius: Tensor) -> Tensor:
    """Return each row of `values` with L2 norm at most `radius`."""
    return values * (radius / lengths(values).clamp_min(1e-30)).clamp_max(1.0)[:, None, None]
