"""The answers to one place's sentences with every term, and what they come to per group of terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stabbench.data.group_terms import GROUPS, group_of
from stabbench.seeding import derive

SHUFFLES = 200
"""Random regroupings of the terms that say how large a gap chance alone makes."""


@dataclass(frozen=True)
class Swapped:
    """T sentences, each with M terms.

    Attributes:
        terms: M terms.
        positive: (T, M) probabilities.
        predicted: (T, M) answers.
        label: (T,) right answers; −1 where a sentence has none.
    """

    terms: tuple[str, ...]
    positive: np.ndarray
    predicted: np.ndarray
    label: np.ndarray

    @property
    def flipped(self) -> np.ndarray:
        """(T, M): whether an answer differs from the sentence's commonest one (of equally common ones, the lowest)."""
        flipped: np.ndarray = self.predicted != np.array([_commonest(row) for row in self.predicted])[:, None]
        return flipped

    @property
    def right(self) -> np.ndarray:
        """(L, M) over the L sentences with a right answer."""
        labelled = self.label >= 0
        right: np.ndarray = self.predicted[labelled] == self.label[labelled, None]
        return right

    def columns(self, category: str) -> dict[str, np.ndarray]:
        """Return group → (M,) bool, which terms are of the group."""
        groups = group_of(category)
        return {group: np.array([groups[term] == group for term in self.terms]) for group in GROUPS[category]}


def _commonest(row: np.ndarray) -> int:
    values, counts = np.unique(row, return_counts=True)
    return int(values[counts.argmax()])


def gap(means: Sequence[float | None]) -> float | None:
    """Return the largest minus the smallest mean, or None where one is unknown; NaN where one is not finite."""
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means) or not known:
        return None
    return float("nan") if not np.isfinite(known).all() else max(known) - min(known)


def chance_gap(swapped: Swapped, category: str, seed: int) -> float | None:
    """Return the mean gap in probability over random regroupings of the terms, the groups' sizes kept.

    A largest difference of several means is never zero by chance. None where every group has one term: then each
    regrouping has the same gap.
    """
    sizes = [len(terms) for terms in GROUPS[category].values()]
    if max(sizes) < 2:
        return None
    rng = np.random.default_rng(derive("swaps", seed, category))
    means = swapped.positive.mean(axis=0)
    edges = np.cumsum(sizes)[:-1]
    gaps = [np.ptp([part.mean() for part in np.split(rng.permutation(means), edges)]) for _ in range(SHUFFLES)]
    return float(np.mean(gaps))
