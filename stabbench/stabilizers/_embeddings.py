"""Moves of word embeddings, added at the output of their table.

Positions, segments, normalisation and dropout are then applied once, as to any input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stabbench.models.batch import Batch
from stabbench.stabilizers.base import Place

Start = Callable[[Tensor, Place], Tensor]
"""(B, T, H) mask of what may be moved, and place of the forward → δ₀, (B, T, H)."""


class EmbeddingShift:
    """Adds one tensor, (B, T, H), to the output of the word embeddings while it is set."""

    def __init__(self, table: nn.Embedding) -> None:
        self.delta: Tensor | None = None
        self._handle = table.register_forward_hook(self._add)

    @contextmanager
    def by(self, delta: Tensor) -> Iterator[None]:
        """Add `delta` in every forward inside."""
        self.delta = delta
        try:
            yield
        finally:
            self.delta = None

    def remove(self) -> None:
        """Take the hook off the table."""
        self._handle.remove()

    def _add(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        return None if self.delta is None else output + self.delta


class EmbeddingSearch:
    """One δ for each micro-batch and draw of a step, moved up the gradient of the objective between its passes."""

    def __init__(self, table: nn.Embedding, start: Start, special_tokens: bool) -> None:
        self._shift = EmbeddingShift(table)
        self._width = table.embedding_dim
        self._start = start
        self._special_tokens = special_tokens
        self._running = False
        self._deltas: dict[tuple[int, int], Tensor] = {}
        self._masks: dict[tuple[int, int], Tensor] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Move the forwards inside; each micro-batch and draw begins at its δ₀. Nothing is kept afterwards."""
        self._running = True
        try:
            yield
        finally:
            self._running, self._shift.delta = False, None
            self._deltas, self._masks = {}, {}

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Put the δ of this forward in place; call it from the stabilizer's hook of that name."""
        if not self._running:
            return
        key = (place.micro_batch, place.draw)
        if key not in self._deltas:
            mask = movable(batch, self._special_tokens, self._width)
            self._masks[key] = mask
            self._deltas[key] = self._start(mask, place).requires_grad_()
        self._shift.delta = self._deltas[key]

    def ascend(self, step_size: float, radius: float) -> None:
        """Set δ ← Π(δ + α g/‖g‖₂) for each example, Π the projection to ‖δ‖₂ ≤ radius; none where that is 0."""
        for key, delta in self._deltas.items():
            assert delta.grad is not None, "a backward pass comes before"
            moved = delta.detach() + perturbation(delta.grad * self._masks[key], step_size)
            self._deltas[key] = (projected(moved, radius) if radius > 0 else moved).requires_grad_()

    def remove(self) -> None:
        """Take the hook off the table."""
        self._shift.remove()


def movable(batch: Batch, special_tokens: bool, width: int) -> Tensor:
    """Return (B, T, width) float32: 1 where an embedding may be moved, 0 on padding.

    Without `special_tokens`, 0 also on the tokens that begin and end a text and part a pair: those that are the same as
    the first or the last of their row.
    """
    real = batch.attention_mask.bool()
    if not special_tokens:
        last = real.sum(dim=1, keepdim=True) - 1
        ids = batch.input_ids
        real = real & (ids != ids[:, :1]) & (ids != ids.gather(1, last))
    return real.unsqueeze(-1).expand(-1, -1, width).float()


def perturbation(gradient: Tensor, length: float) -> Tensor:
    """Return ε g/‖g‖₂ per example, for g (B, T, H) and ε = `length`; zero where the gradient is zero."""
    norms = gradient.flatten(1).norm(dim=1).view(-1, 1, 1)
    return torch.where(norms > 0, length * gradient / norms.clamp(min=torch.finfo(norms.dtype).tiny), 0.0)


def projected(delta: Tensor, radius: float) -> Tensor:
    """Return δ (B, T, H) with each example's ‖δ‖₂ scaled down to `radius` where it is longer."""
    norms = delta.flatten(1).norm(dim=1).view(-1, 1, 1)
    return torch.where(norms > radius, delta * (radius / norms), delta)
