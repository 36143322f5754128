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
        raise NotImplementedError

    def probabilities(self, texts: Sequence[Text], batch_size: int = 32) -> np.ndarray:
        """Return softmax probabilities, (N, C) float64, in the order of `texts`.

        Texts are sorted by length, so that a batch holds little padding; rows are put back in order.
        """
        raise NotImplementedError

    def predict(self, examples: Sequence[Example]) -> np.ndarray:
        """Return probabilities of the examples as they are, (N, C); remembered, so that probes share one pass."""
        key = tuple(example.id for example in examples)
        if key not in self._memo:
            self._memo[key] = self.probabilities([example.content for example in examples])
        return self._memo[key]


def torch_logits(model: nn.Module) -> Logits:
    """Return `Logits` of a transformers sequence classifier in evaluation mode."""

    def score(batch: Batch) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = model(**batch.inputs()).logits
        return logits.float()

    return score
