"""Spread over seeds: Brown-Forsythe, permutation, Bonett's interval."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from stabbench.statistics.spread import brown_forsythe, log_sd_ratio, seeds_to_settle, spread_permutation

A = [0.61, 0.66, 0.70, 0.64, 0.68, 0.55]
B = [0.69, 0.70, 0.71, 0.68, 0.69, 0.72]


def test_brown_forsythe_is_levene_about_the_median() -> None:
    assert brown_forsythe(A, B).p == pytest.approx(stats.levene(A, B, center="median").pvalue)


def test_spread_permutation_counts_the_splits() -> None:
    deviations = np.concatenate([np.abs(np.array(arm) - np.median(arm)) for arm in (A, B)])
    total = deviations.sum()
    gaps = [abs(2 * deviations[list(chosen)].sum() - total) for chosen in combinations(range(12), 6)]

    assert spread_permutation(A, B).p == pytest.approx(np.mean(np.array(gaps) >= gaps[0] - 1e-12))


def test_bonett_interval_equals_the_published_formula() -> None:
    n, z, level = 6, stats.norm.ppf(0.975), 0.95
    fourth = squares = 0.0
    for arm in (np.array(A), np.array(B)):
        trimmed = stats.trim_mean(arm, 1 / (2 * math.sqrt(n - 4)))
        fourth += ((arm - trimmed) ** 4).sum()
        squares += ((arm - arm.mean()) ** 2).sum()
    error = math.sqrt(2 * (2 * n * fourth / squares**2 - (n - 3) / n) / (n - 1))
    log_variance_ratio = math.log(np.var(B, ddof=1) / np.var(A, ddof=1))

    found = log_sd_ratio(A, B, level)

    assert found.value == pytest.approx(log_variance_ratio / 2)
    assert found.interval == pytest.approx(((log_variance_ratio - z * error) / 2, (log_variance_ratio + z * error) / 2))


def test_swapping_the_arms_flips_the_log_ratio() -> None:
    found, swapped = log_sd_ratio(A, B[:5]), log_sd_ratio(B[:5], A)

    assert swapped.value == pytest.approx(-found.value)
    assert swapped.interval == pytest.approx((-found.high, -found.low))
    assert spread_permutation(A, B).p == spread_permutation(B, A).p


@pytest.mark.parametrize("shift", [0.1, 5.0])
def test_adding_a_constant_changes_no_answer_about_spread(shift: float) -> None:
    shifted = [x + shift for x in A]

    assert brown_forsythe(shifted, B).p == pytest.approx(brown_forsythe(A, B).p)
    assert log_sd_ratio(shifted, B).value == pytest.approx(log_sd_ratio(A, B).value)


@pytest.mark.parametrize("draw", ["normal", "heavy"])
def test_bonett_interval_covers_equal_spread(draw: str) -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(600):
        a, b = rng.normal(size=(2, 10)) if draw == "normal" else rng.standard_t(5, size=(2, 10))
        found = log_sd_ratio(a.tolist(), b.tolist())
        covered += found.low <= 0 <= found.high

    assert covered / 600 >= 0.93


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ([0.5], [0.6], "fewer than two"),
        ([], [0.6], "fewer than two"),
        ([0.5, 0.5, 0.5, 0.5, 0.5], A[:5], "does not vary"),
        ([0.5, math.nan, 0.6, 0.7, 0.8], A[:5], "1 of 5 values not finite"),
    ],
)
def test_spread_that_is_undefined_has_a_reason(a, b, reason: str) -> None:
    found = log_sd_ratio(a, b)

    assert (found.value, found.interval) == (None, None)
    assert reason in found.reason
    brown_forsythe(a, b)
    spread_permutation(a, b)


def test_constant_arms_have_no_brown_forsythe() -> None:
    assert brown_forsythe([0.5] * 5, [0.6] * 5).p is None


def test_four_seeds_have_a_ratio_but_no_interval() -> None:
    found = log_sd_ratio(A[:4], B[:4])

    assert found.value is not None
    assert found.interval is None
    assert "needs 5" in found.reason


def test_seeds_to_settle_give_the_power_they_promise() -> None:
    rng = np.random.default_rng(4)
    n = seeds_to_settle(math.log(2))
    assert n is not None

    decided = sum(
        stats.levene(rng.normal(size=n), 2 * rng.normal(size=n), center="median").pvalue < 0.05 for _ in range(400)
    )

    assert 0.72 <= decided / 400 <= 0.90
    assert seeds_to_settle(math.log(5)) < n < seeds_to_settle(math.log(1.5))
    assert seeds_to_settle(-math.log(2)) == n
    assert seeds_to_settle(0.0) is None
