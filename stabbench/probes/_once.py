"""Many texts, equal ones among them, put to a model once each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject
from stabbench.probes._sample import steady_batch_size
from stabbench.probes.base import Context

TRIED = 64
"""Texts on which a compressed subject is tried for answers that depend on the batch."""


def probabilities_once(subject: Subject, context: Context, texts: Sequence[str], batch_size: int) -> np.ndarray:
    """Return (N, C) probabilities of `texts`; equal texts are put to the model once."""
    once = list(dict.fromkeys(texts))
    size = steady_batch_size(subject, context.dense is not None, once[:TRIED], batch_size)
    place = {text: row for row, text in enumerate(once)}
    return subject.probabilities(once, batch_size=size)[[place[text] for text in texts]]


def refuse_pairs(probe: str, context: Context) -> None:
    """Refuse a task of text pairs: the files of these probes hold single texts.

    Raises:
        ConfigurationError: the task's examples are pairs.
    """
    if any(example.pair is not None for example in context.dataset.test[:1]):
        raise ConfigurationError(
            [f"probes.{probe}: the task has pairs of texts; this probe puts single texts to a model"]
        )
