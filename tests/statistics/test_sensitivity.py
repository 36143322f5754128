"""Margins, crossings and sensitivity over a grid, against definitions written out and scikit-learn's isotonic fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from stabbench.statistics.sensitivity import (
    Point,
    best_score,
    half_failure,
    non_decreasing,
    sensitivity,
    stability_margin,
)

VALUES = (1e-5, 1e-4, 1e-3, 1e-2)


def points(*failed: int, n: int = 10, means: tuple[float, ...] | None = None) -> list[Point]:
    return [
        Point(value, (0.7 if means is None else means[index],) * n, (True,) * k + (False,) * (n - k))
        for index, (value, k) in enumerate(zip(VALUES, failed, strict=False))
    ]


@pytest.mark.parametrize(
    ("failed", "margin"),
    [((0, 0, 5, 10), 1e-4), ((0, 1, 1, 2), 1e-3), ((0, 0, 0, 0), 1e-2), ((3, 0, 4, 9), 1e-4), ((2, 2, 2, 2), None)],
)
def test_the_margin_is_the_largest_value_with_at_most_a_tenth_failed(failed, margin) -> None:
    found = stability_margin(points(*failed))

    assert found.value == margin
    assert found.value is not None or "more than 10% of the runs failed at every value" in found.reason


def test_the_margin_states_what_the_true_share_may_be() -> None:
    found = stability_margin(points(0, 1, 9, 9))
    exact = stats.binomtest(1, 10).proportion_ci(0.95, method="exact")

    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert "1 of 10 runs failed there" in found.reason
    assert "the largest value tried" in stability_margin(points(0, 0, 0, 0)).reason
    assert "0% and 52%" in stability_margin(points(0, 5, 5, 5, n=5)).reason


def test_a_margin_with_failures_below_it_names_them() -> None:
    assert "below it more runs failed at 0.0001" in stability_margin(points(0, 6, 0, 10)).reason


def test_half_of_the_runs_fail_where_the_rate_crosses_on_the_logarithm() -> None:
    found = half_failure(points(0, 2, 8, 10))

    assert found.value == pytest.approx(10**-3.5)
    assert found.between == (1e-4, 1e-3)


def test_runs_that_fail_because_the_value_is_too_small_do_not_count_as_the_crossing() -> None:
    found = half_failure(points(10, 0, 0, 10))

    assert found.between == (1e-3, 1e-2)
    assert found.value == pytest.approx(10**-2.5)


def test_a_dip_on_the_way_up_is_pooled_with_its_neighbour() -> None:
    """Rates 0, .8, .2, 1 become 0, .5, .5, 1."""
    assert half_failure(points(0, 8, 2, 10)).value == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        ((0, 0, 1, 4), "at the largest value, 0.01, 4 of 10 runs failed"),
        ((5, 9, 10, 10), "at every value at least half of the runs failed"),
    ],
)
def test_a_crossing_that_the_grid_does_not_enclose_is_not_made_up(failed, reason) -> None:
    found = half_failure(points(*failed))

    assert found.value is None
    assert reason in found.reason


def test_sensitivity_is_the_best_mean_less_the_mean_with_chance_as_the_floor() -> None:
    means = (0.6, 0.9, 0.8, 0.1)

    assert sensitivity(points(0, 0, 0, 0, means=means), 0.5).value == pytest.approx(0.9 - (0.6 + 0.9 + 0.8 + 0.5) / 4)
    assert sensitivity(points(0, 0, 0, 0, means=(0.8,) * 4), 0.5).value == pytest.approx(0.0)


def test_the_best_score_is_where_the_mean_is_highest() -> None:
    found = best_score(points(0, 0, 0, 0, means=(0.6, 0.9, 0.8, 0.1)))

    assert (found.value, found.at) == (pytest.approx(0.9), 1e-4)
    assert "optimistic" in found.reason


@pytest.mark.parametrize("figure", [stability_margin, half_failure, best_score, lambda given: sensitivity(given, 0.5)])
def test_without_a_finished_run_there_is_a_reason_and_no_number(figure) -> None:
    for given in ([], [Point(1e-5, (), ())]):
        found = figure(given)
        assert found.value is None
        assert found.reason == "no run has finished"


def test_the_order_of_the_points_and_those_without_runs_do_not_matter() -> None:
    given = points(0, 2, 8, 10)
    shuffled = [given[2], Point(3e-4, (), ()), given[0], given[3], given[1]]

    assert half_failure(shuffled) == half_failure(given)
    assert stability_margin(shuffled) == stability_margin(given)


def test_the_isotonic_fit_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    for size in range(1, 12):
        values, weights = rng.random(size), rng.integers(1, 9, size).astype(float)
        expected = IsotonicRegression().fit_transform(np.arange(size), values, sample_weight=weights)
        np.testing.assert_allclose(non_decreasing(list(values), list(weights)), expected)


def test_rates_and_means_are_of_all_runs() -> None:
    point = Point(1e-3, (0.5, 0.9, math.pi), (True, False, False))

    assert point.count == (1, 3)
    assert point.rate == pytest.approx(1 / 3)
    assert point.mean == pytest.approx((1.4 + math.pi) / 3)
