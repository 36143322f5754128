"""Which texts a probe looks at, and in batches of which size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stabbench.data.example import Example, Text
from stabbench.models.subject import Subject
from stabbench.probes._predictions import answers
from stabbench.seeding import derive


def sample(examples: Sequence[Example], n: int, seed: int) -> tuple[Example, ...]:
    """Return the first n examples of a fixed shuffle: the same for every subject, and a larger n only adds examples."""
    return tuple(sorted(examples, key=lambda example: (derive("sample", seed, example.id), example.id))[:n])


def steady_batch_size(subject: Subject, compressed: bool, texts: Sequence[Text], batch_size: int) -> int:
    """Return `batch_size`, or 1 for a compressed subject that answers one of `texts` otherwise in a batch than alone.

    Dynamic int8 takes its scale from the whole batch: an answer would depend on which texts stand beside it.
    """
    if not compressed or batch_size == 1:
        return batch_size
    alone = answers(subject.probabilities(texts, batch_size=1))
    together = answers(subject.probabilities(texts, batch_size=batch_size))
    return 1 if bool(np.any(alone != together)) else batch_size
