"""From probabilities to answers: one rule for all probes, with a defined answer for a diverged model."""

from __future__ import annotations

import numpy as np

NO_ANSWER = -1
"""The predicted class of a row of probabilities that holds NaN: never right, and the same class for all such rows."""


def answers(probabilities: np.ndarray) -> np.ndarray:
    """Return argmax_c p(c) for each row of (N, C) probabilities, (N,) int64; `NO_ANSWER` where a row is not finite."""
    finite = np.isfinite(probabilities).all(axis=1)
    best = np.argmax(np.where(np.isfinite(probabilities), probabilities, -np.inf), axis=1)
    return np.where(finite, best, NO_ANSWER).astype(np.int64)
