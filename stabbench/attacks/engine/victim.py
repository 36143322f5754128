"""The model as textattack sees it: dynamic padding, float32, equal texts scored once, everything counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from textattack.models.wrappers import ModelWrapper

from stabbench.attacks.engine.lockstep import ask
from stabbench.data.example import Text
from stabbench.models.encoding import Encoded, collate, encode_texts
from stabbench.models.subject import Subject

DECIMALS = 6
PADDING = 24
"""Tokens of padding in a batch that cost about as much as one more call of a small model on a processor."""


class Scorer:
    """Scores token ids with a subject, sorted by length in batches; the searches of one run share it.

    Attributes:
        subject: the model.
        batch_size: most rows in one call of the model.
    """

    def __init__(self, subject: Subject, batch_size: int) -> None:
        self.subject, self.batch_size = subject, batch_size

    def __call__(self, encoded: list[Encoded]) -> np.ndarray:
        """Return (N, C) probabilities, rounded to 10⁻⁶, in the order of `encoded`."""
        found = np.empty((len(encoded), len(self.subject.classes)))
        for part in batches([len(item) for item in encoded], self.batch_size):
            logits = self.subject.logits(collate([encoded[index] for index in part], self.subject.tokenizer))
            found[part] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
        return rounded(found)


def batches(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Return the numbers of the texts by batch: the shortest first, at most `most`, and hardly any padding.

    A batch ends before the text for which the ones before it would be padded by more than `PADDING` tokens in all: from
    there on another call of the model costs less.
    """
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        last = found[-1] if found else []
        added = sum(lengths[index] - lengths[other] for other in last)
        if last and len(last) < most and added <= PADDING:
            last.append(index)
        else:
            found.append([index])
    return found


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
    """

    def __init__(self, score: Scorer) -> None:
        self.score, subject = score, score.subject
        self.model = subject if subject.model is None else subject.model
        self.tokenizer, self.max_length = subject.tokenizer, subject.max_length
        self.rows = 0
        self._keys: dict[Text, tuple[int, ...]] = {}
        self._scores: dict[tuple[int, ...], np.ndarray] = {}

    def begin(self, text: Text, probabilities: Sequence[float]) -> None:
        """Forget the last example and count from here on; `text` was asked alone and gave `probabilities`."""
        (encoded,) = encode_texts(self.tokenizer, [text], self.max_length)
        self._keys = {}
        self._scores = {tuple(encoded.input_ids): rounded(np.array([probabilities]))[0]}
        self.rows = 1

    def __call__(self, text_input_list: Sequence[Text]) -> torch.Tensor:
        """Return probabilities, (N, C) float64, rows summing to 1; texts are sentences or pairs of them."""
        unseen = list(dict.fromkeys(text for text in text_input_list if text not in self._keys))
        new: dict[tuple[int, ...], Encoded] = {}
        for text, encoded in zip(unseen, encode_texts(self.tokenizer, unseen, self.max_length), strict=True):
            key = self._keys[text] = tuple(encoded.input_ids)
            if key not in self._scores:
                new[key] = encoded
        found = ask(self.score, list(new.values()))
        self._scores.update(zip(new, found, strict=True))
        self.rows += len(new)
        return torch.from_numpy(np.stack([self._scores[self._keys[text]] for text in text_input_list]))


def rounded(probabilities: np.ndarray) -> np.ndarray:
    """Return (N, C) probabilities rounded to 10⁻⁶, rows summing to 1.

    textattack takes rows that miss 1 by 10⁻⁶ for logits, and would apply a second softmax: what rounding has taken from
    a row is given to its largest entry.
    """
    grid = np.round(probabilities, DECIMALS)
    best = grid.argmax(axis=1)
    grid[np.arange(len(grid)), best] += 1.0 - grid.sum(axis=1)
    return np.round(grid, DECIMALS)
