"""The expected best of k runs, against enumeration of subsets and of draws with replacement."""

import math
from itertools import combinations, product

import numpy as np
import pytest

from stabbench.statistics.seeds import expected_maximum, expected_maximum_with_replacement

VALUES = [0.61, 0.70, 0.66, 0.70, 0.48, 0.69]


@pytest.mark.parametrize("k", range(1, 7))
def test_u_statistic_is_the_mean_best_of_all_subsets(k: int) -> None:
    expected = np.mean([max(chosen) for chosen in combinations(VALUES, k)])

    assert expected_maximum(VALUES, k).value == pytest.approx(expected)


@pytest.mark.parametrize("k", range(1, 5))
def test_v_statistic_is_the_mean_best_of_all_draws_with_replacement(k: int) -> None:
    expected = np.mean([max(chosen) for chosen in product(VALUES, repeat=k)])

    found = expected_maximum_with_replacement(VALUES, k)

    assert found.value == pytest.approx(expected)
    assert "biased" in found.method


def test_the_best_of_all_is_the_maximum_and_of_one_the_mean() -> None:
    assert expected_maximum(VALUES, 6).value == max(VALUES)
    assert expected_maximum(VALUES, 1).value == pytest.approx(np.mean(VALUES))


def test_u_statistic_is_unbiased_and_v_statistic_is_biased_low() -> None:
    rng = np.random.default_rng(5)
    samples = rng.normal(size=(4000, 5)).tolist()
    truth = 0.5641896 * 1.5  # E[max of 3 normals] = 3/(2√π)

    u = np.mean([expected_maximum(x, 3).value for x in samples])
    v = np.mean([expected_maximum_with_replacement(x, 3).value for x in samples])

    assert u == pytest.approx(truth, abs=0.03)
    assert v < truth - 0.08


@pytest.mark.parametrize("function", [expected_maximum, expected_maximum_with_replacement])
@pytest.mark.parametrize(
    ("values", "k", "value", "reason"),
    [
        ([], 1, None, "no run"),
        ([0.5], 0, None, "best of 0 is undefined for 1 run"),
        ([0.5, math.nan], 1, None, "1 of 2 values are NaN"),
        ([0.5, math.inf], 1, math.inf, "no interval"),
        ([-math.inf, math.inf], 1, None, "both signs"),
        ([0.5], 1, 0.5, "no interval"),
    ],
)
def test_what_has_no_expected_best_has_a_reason(function, values, k, value, reason: str) -> None:
    found = function(values, k)

    assert found.value == value
    assert reason in found.reason


def test_more_runs_than_there_are_have_no_unbiased_estimate() -> None:
    assert "best of 7 is undefined for 6 runs" in expected_maximum(VALUES, 7).reason
    assert expected_maximum_with_replacement(VALUES, 7).value < max(VALUES)


def test_a_failed_run_of_minus_infinity_counts_only_where_it_is_the_best() -> None:
    assert expected_maximum([-math.inf, 0.5, 0.7], 2).value == pytest.approx((0.5 + 0.7 + 0.7) / 3)
    assert expected_maximum([-math.inf, 0.5, 0.7], 1).value == -math.inf
