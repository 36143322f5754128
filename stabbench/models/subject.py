"""A model to probe: a trained one, a compressed one, or a user's own checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stabbench.data.example import Example, Text
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts

Logits = Callable[[Batch], Tensor]
"""(B, T) encoded texts → (B, C) float32 logits; evaluation mode, no gradient."""


@dataclass
class Subject:
    """What probes see of a model.

    Attributes:
        tokenizer: a fast tokenizer.
        logits: scores a batch.
        classes: label names; column j of the logits is ``classes[j]``.
        max_length: tokens; longer texts are cut.
        model: the torch module in evaluation mode and float32, or None where there is none (ONNX Runtime).
        folder: where the subject lies on disk, or None.
    """

    tokenizer: Any
    logits: Logits
    classes: tuple[str, ...]
    max_length: int
    model: nn.Module | None = None
    folder: Path | None = None
    _memo: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict, repr=False)

    def encode(self, texts: Sequence[Text]) -> Batch:
        """Return the texts as one batch, padded to the longest of them."""
        return collate(encode_texts(self.tokenizer, texts, self.max_length), self.tokenizer)

    def probabilities(self, texts: Sequence[Text], batch_size: int = 32) -> np.ndarray:
        """Return softmax probabilities, (N, C) float64, in the order of `texts`.

        Texts are sorted by length, so that a batch holds little padding; rows are put back in order.
        """
        encoded = encode_texts(self.tokenizer, texts, self.max_length)
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
        rows = np.empty((len(encoded), len(self.classes)), dtype=np.float64)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            logits = self.logits(collate([encoded[index] for index in chosen], self.tokenizer))
            rows[chosen] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
        return rows

    def predict(self, examples: Sequence[Example]) -> np.ndarray:
        """Return probabilities of the examples as they are, (N, C); remembered, so that probes share one pass."""
        key = tuple(example.id for example in examples)
        if key not in self._memo:
            self._memo[key] = self.probabilities([example.content for example in examples])
        return self._memo[key]


def torch_logits(model: nn.Module) -> Logits:
    """Return `Logits` of a transformers sequence classifier in evaluation mode."""

    def score(batch: Batch) -> Tensor:
        device = next(model.parameters()).device
        with torch.inference_mode():
            logits: Tensor = model(**batch.to(device).inputs()).logits
        return logits.float()

    return score
