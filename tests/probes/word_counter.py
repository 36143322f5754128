"""A sentiment model that counts words, for the probes whose texts come from files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from stabbench.models.batch import Batch
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject

Logit = Callable[[str], float]


def counted(text: str) -> float:
    """“good” and “great” less “bad” and “dull”, less a third."""
    words = text.replace(".", " ").lower().split()
    return sum((w in ("good", "great")) - (w in ("bad", "dull")) for w in words) - 1 / 3


def subject_of(folder: Path, texts: Sequence[str], logit: Logit, classes: tuple[str, ...]) -> Subject:
    """Return a subject that gives the last class the logit of the text, the first 0, and those between −1.

    It knows the `texts` alone, by their token ids.
    """
    tokenizer = load_tokenizer(folder)
    subject = Subject(tokenizer, lambda batch: torch.zeros(len(batch), len(classes)), classes, 1024)
    known = {tuple(subject.encode([text]).input_ids[0].tolist()): text for text in texts}

    def score(batch: Batch) -> Tensor:
        rows = []
        for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True):
            value = logit(known[tuple(ids[mask == 1].tolist())])
            rows.append([0.0, *([-1.0] * (len(classes) - 2)), value])
        return torch.tensor(rows)

    subject.logits = score
    return subject
