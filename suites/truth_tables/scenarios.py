"""Where the numbers come from: distributions of one seed's value, and tables of seeds × texts, with their truths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]
SEEDS = (3, 5, 10, 25)
FAILS, DROP, SPREAD = 0.2, 18.0, 2.0
TEST_SET = 277
"""Texts of RTE's development set, the smallest that is commonly reported."""


@dataclass(frozen=True)
class Distribution:
    """A distribution of a run's value.

    Attributes:
        draw: gives values of a shape.
        mean: true mean.
        sd: true standard deviation.
    """

    draw: Draw
    mean: float
    sd: float


def _failing(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Points of accuracy: one run in five fails and ends 18 points lower."""
    return rng.normal(0, SPREAD, shape) - DROP * (rng.random(shape) < FAILS)


FAILING = Distribution(_failing, -FAILS * DROP, float(np.sqrt(SPREAD**2 + FAILS * (1 - FAILS) * DROP**2)))
SOUND = Distribution(lambda rng, shape: rng.normal(0, SPREAD, shape), 0.0, SPREAD)
DISTRIBUTIONS: Mapping[str, Distribution] = {
    "normal": Distribution(lambda rng, shape: rng.normal(size=shape), 0.0, 1.0),
    "skewed (exponential)": Distribution(lambda rng, shape: -rng.exponential(size=shape), -1.0, 1.0),
    "heavy-tailed (t, 3 d.f.)": Distribution(lambda rng, shape: rng.standard_t(3, shape), 0.0, float(np.sqrt(3))),
    "bimodal: 20 % failed runs": FAILING,
    "test-set noise only (N = 277)": Distribution(
        lambda rng, shape: rng.binomial(TEST_SET, 0.72, shape) / TEST_SET, 0.72, float(np.sqrt(0.72 * 0.28 / TEST_SET))
    ),
}


@dataclass(frozen=True)
class Texts:
    """Two arms on the same texts: seed i is right on text j where a latent normal score is positive.

    Attributes:
        seeds: SD of a seed's own shift of all scores.
        texts: SD of what the candidate changes on a text with every seed.
        fails: share of runs that fail: right at random.
    """

    seeds: float
    texts: float
    fails: float = 0.0

    def draw(self, rng: np.random.Generator, n: int, texts: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return (reference, candidate), each (n, texts): whether right."""
        difficulty = 1.2 + 1.8 * rng.normal(size=texts)
        changed = self.texts * rng.normal(size=texts)
        arms = []
        for shift in (0.0, changed):
            score = difficulty + shift + self.seeds * rng.normal(size=(n, 1)) + rng.normal(size=(n, texts))
            failed = rng.random((n, 1)) < self.fails
            arms.append(np.where(failed, rng.random((n, texts)) < 0.5, score > 0))
        return arms[0], arms[1]

    @property
    def difference(self) -> float:
        """True accuracy of the candidate less that of the reference, over new seeds and new texts."""
        from scipy.special import ndtr

        # The score is normal with mean 1.2: P(right) = Φ(1.2/√variance), or ½ for a failed run.
        variance = 1.8**2 + self.seeds**2 + 1
        right = [float(ndtr(1.2 / np.sqrt(variance + more))) for more in (0.0, self.texts**2)]
        return (1 - self.fails) * (right[1] - right[0])


TEXTS: Mapping[str, Texts] = {
    "test-set noise only": Texts(0.0, 0.0),
    "seeds differ": Texts(0.3, 0.0),
    "texts differ": Texts(0.0, 0.7),
    "seeds and texts differ": Texts(0.3, 0.7),
    "seeds and texts, 20 % failed": Texts(0.3, 0.7, 0.2),
}
