"""The model as textattack sees it: dynamic padding, float32, equal texts scored once, everything counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from textattack.models.wrappers import ModelWrapper

from stabbench.data.example import Text
from stabbench.models.encoding import Encoded, collate, encode_texts
from stabbench.models.subject import Subject

DECIMALS = 6


class Victim(ModelWrapper):  # type: ignore[misc]
    """Scores texts for textattack with a subject.

    Texts that give the same token ids are one row and get the very same scores. Scores are rounded to 10⁻⁶, because the
    shape of a batch moves a float32 probability by about 10⁻⁷ and would decide ties. Nothing is kept from one example
    to the next, so that a result does not depend on what was attacked before.

    Attributes:
        model: the subject's torch module, or the subject where it has none; textattack looks at its type only.
        tokenizer: the subject's.
        max_length: the subject's; longer texts are cut.
        rows: texts the model has scored since `begin`.
        calls: batches the model has scored since `begin`.
    """

    def __init__(self, subject: Subject, batch_size: int) -> None:
        self.subject = subject
        self.batch_size = batch_size
        self.model = subject if subject.model is None else subject.model
        self.tokenizer, self.max_length = subject.tokenizer, subject.max_length
        self.rows = self.calls = 0
        self._scores: dict[tuple[int, ...], np.ndarray] = {}

    def begin(self, text: Text, probabilities: Sequence[float]) -> None:
        """Forget the last example and count from here on; `text` was asked alone and gave `probabilities`."""
        (encoded,) = encode_texts(self.subject.tokenizer, [text], self.subject.max_length)
        self._scores = {tuple(encoded.input_ids): rounded(np.array([probabilities]))[0]}
        self.rows = self.calls = 1

    def __call__(self, text_input_list: Sequence[Text]) -> torch.Tensor:
        """Return probabilities, (N, C) float64, rows summing to 1; texts are sentences or pairs of them."""
        encoded = encode_texts(self.subject.tokenizer, list(text_input_list), self.subject.max_length)
        keys = [tuple(item.input_ids) for item in encoded]
        new = {key: item for key, item in zip(keys, encoded, strict=True) if key not in self._scores}
        waiting = sorted(new.values(), key=len)
        for start in range(0, len(waiting), self.batch_size):
            self._score(waiting[start : start + self.batch_size])
        return torch.from_numpy(np.stack([self._scores[key] for key in keys]))

    def _score(self, encoded: Sequence[Encoded]) -> None:
        logits = self.subject.logits(collate(encoded, self.subject.tokenizer))
        probabilities = torch.softmax(logits.double(), dim=-1).cpu().numpy()
        for item, row in zip(encoded, rounded(probabilities), strict=True):
            self._scores[tuple(item.input_ids)] = row
        self.rows += len(encoded)
        self.calls += 1


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Return (N, C) probabilities rounded to 10⁻⁶, rows summing to 1.

    textattack takes rows that miss 1 by 10⁻⁶ for logits, and would apply a second softmax: what rounding has taken from
    a row is given to its largest entry.
    """
    grid = np.round(probabilities, DECIMALS)
    best = grid.argmax(axis=1)
    grid[np.arange(len(grid)), best] += 1.0 - grid.sum(axis=1)
    return np.round(grid, DECIMALS)
