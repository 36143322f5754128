"""Welch's interval against scipy, its coverage, and its defined answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from stabbench.statistics.two_samples import welch_t


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(2, 2), (5, 12), (12, 12)])
def test_value_interval_and_p_equal_scipys(seed: int, sizes: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    candidate, reference = rng.normal(0.1, 1.0, sizes[0]), rng.normal(0.0, 3.0, sizes[1])

    found = welch_t(candidate.tolist(), reference.tolist(), level=0.9)

    expected = stats.ttest_ind(candidate, reference, equal_var=False)
    assert found.value == pytest.approx(candidate.mean() - reference.mean())
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.9)))
    assert found.p == pytest.approx(expected.pvalue)
    mirrored = welch_t(reference.tolist(), candidate.tolist(), level=0.9)
    assert mirrored.interval == pytest.approx((-found.high, -found.low))  # type: ignore[operator]


def test_the_interval_covers_as_often_as_it_says_with_unequal_spreads() -> None:
    rng = np.random.default_rng(0)
    draws = [(rng.normal(0, 1.0, 6), rng.normal(0, 4.0, 12)) for _ in range(2000)]
    hits = sum(
        (found := welch_t(a.tolist(), b.tolist()).interval) is not None and found[0] <= 0 <= found[1] for a, b in draws
    )

    assert 0.935 <= hits / 2000 <= 0.965


@pytest.mark.parametrize(
    ("candidate", "reference", "value", "words"),
    [
        ([], [1.0], None, "a sample is empty"),
        ([1.0, math.nan], [1.0, 2.0], None, "1 of 4 values not finite"),
        ([1.0], [2.0, 3.0], -1.5, "one unit has no spread"),
        ([2.0, 2.0], [1.0, 1.0], 1.0, "neither sample varies"),
        ([0.0, 0.0], [0.0, 0.0], 0.0, "neither sample varies"),
    ],
)
def test_what_has_no_interval_says_why(
    candidate: list[float], reference: list[float], value: float | None, words: str
) -> None:
    found = welch_t(candidate, reference)

    assert found.value == value
    assert found.interval is None
    assert words in found.reason
