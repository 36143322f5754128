"""Adversarial training on word embeddings, one step along the normalised gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._embeddings import perturbation
from stabbench.stabilizers.base import Backward, Objective, Stabilizer


@dataclass(kw_only=True)
class Fgm(Stabilizer):
    """Trains on each batch twice: as it is, and with its word embeddings moved by ε along the normalised gradient."""

    paper = "Miyato, Dai & Goodfellow (2017), arXiv:1605.07725, equations (5) and (6)"
    equation = "L(x) + L(x + δ), δ = ε g/‖g‖₂, g = ∇ₑ L(x) over the word embeddings (T, H) of one example"
    changes = "the gradient of every step: the sum of a clean and an adversarial one"
    cost = "2 forward and 2 backward passes per step"
    departures = (
        "word embeddings are not normalised first, as usual for BERT; δ is one vector per position, not a change of "
        "the embedding table; [CLS] and [SEP] are moved too, padding is not (its gradient is 0)"
    )
    pitfalls = "the adversarial pass has its own dropout masks; raw gradient norms are of the sum, about twice as large"
    null = {"epsilon": 0.0}
    owns = frozenset({"the search over embeddings"})
    passes = ("2 if epsilon else 1", "2 if epsilon else 1")

    epsilon: Annotated[float, Field(ge=0, description="ε: L2 length of δ per example; 0: no adversarial pass")] = 1.0

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Listen at the output of the word embeddings."""
        self._clean: list[Tensor] = []
        self._moves: list[Tensor] = []
        self._attacking = False
        self._handle = anatomy.word_embeddings.register_forward_hook(self._on_embeddings)

    def wrap_backward(self, backward: Backward) -> Backward:
        """Return the clean pass over all micro-batches followed by the adversarial one, gradients added."""

        def adversarial(draw: int = 0, scale: float = 1.0) -> Objective:
            if self.epsilon == 0:
                return backward(draw, scale)
            self._clean, self._attacking = [], False
            clean = backward(draw, scale)
            self._moves = [perturbation(e.grad, self.epsilon) for e in self._clean if e.grad is not None]
            self._clean, self._attacking = [], True
            backward(draw + 1, scale)
            self._attacking = False
            return clean

        return adversarial

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        self._handle.remove()

    def _on_embeddings(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not torch.is_grad_enabled() or self.epsilon == 0 or not module.training:
            return None
        if self._attacking:
            return output + self._moves.pop(0)
        if not output.requires_grad:  # the table is frozen
            output.requires_grad_()
        output.retain_grad()
        self._clean.append(output)
        return None
