"""A padded batch of encoded texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Encoded texts, padded to the longest.

    Attributes:
        input_ids: (B, T) int64.
        attention_mask: (B, T) int64, 1 on real tokens.
        token_type_ids: (B, T) int64, or None where the model has none.
        labels: (B,) int64 class indices, or None.
        examples: ids of the examples, in order; empty where unknown.
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None = None
    labels: Tensor | None = None
    examples: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.input_ids.shape[0])

    def inputs(self) -> dict[str, Tensor]:
        """Return the model's keyword arguments, without labels."""
        given = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        return given if self.token_type_ids is None else {**given, "token_type_ids": self.token_type_ids}

    def parts(self, count: int) -> list[Batch]:
        """Return the batch cut into up to `count` batches of consecutive rows, each padded to its own longest text.

        Fewer come out where there are fewer rows. With `count` 1 the batch itself is returned.
        """
        if count == 1:
            return [self]
        size = -(-len(self) // count)
        return [self._rows(start, start + size) for start in range(0, len(self), size)]

    def _rows(self, start: int, stop: int) -> Batch:
        width = int(self.attention_mask[start:stop].sum(dim=1).max())
        segments = self.token_type_ids
        return Batch(
            input_ids=self.input_ids[start:stop, :width],
            attention_mask=self.attention_mask[start:stop, :width],
            token_type_ids=None if segments is None else segments[start:stop, :width],
            labels=None if self.labels is None else self.labels[start:stop],
            examples=self.examples[start:stop],
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        tensors = ("input_ids", "attention_mask", "token_type_ids", "labels")
        moved: dict[str, Any] = {n: None if (t := getattr(self, n)) is None else t.to(device) for n in tensors}
        return replace(self, **moved)
