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

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`."""
        tensors = ("input_ids", "attention_mask", "token_type_ids", "labels")
        moved: dict[str, Any] = {n: None if (t := getattr(self, n)) is None else t.to(device) for n in tensors}
        return replace(self, **moved)
