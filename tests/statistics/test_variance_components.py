"""Variance components of a crossed grid: a linear model, brute force over pairs of cells, and exact distributions."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from stabbench.statistics.components import FEWEST_LEVELS, _pair_means, resampled_components, variance_components

RNG = np.random.default_rng(6)


def grid(n: int, columns: int, row: float = 1.0, column: float = 0.5, rest: float = 1.0) -> np.ndarray:
    return row * RNG.normal(size=(n, 1)) + column * RNG.normal(size=columns) + rest * RNG.normal(size=(n, columns))


def squares(x):
    """Mean squares from sums over cells, written out."""
    n, columns = x.shape
    by_row, by_column, all_ = x.mean(1), x.mean(0), x.mean()
    a = columns * sum((r - all_) ** 2 for r in by_row) / (n - 1)
    b = n * sum((c - all_) ** 2 for c in by_column) / (columns - 1)
    left = sum((x[i, j] - by_row[i] - by_column[j] + all_) ** 2 for i, j in product(range(n), range(columns)))
    return a, b, left / ((n - 1) * (columns - 1))


def parts(found):
    return found.rows, found.columns, found.rest


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (6, 8)])
@pytest.mark.parametrize("function", [variance_components, resampled_components])
def test_estimates_are_those_of_the_mean_squares(shape, function) -> None:
    x = grid(*shape)
    a, b, e = squares(x)

    found = [part.value for part in parts(function(x))]

    assert found == pytest.approx([max(0.0, (a - e) / shape[1]), max(0.0, (b - e) / shape[0]), e])


def test_p_is_that_of_the_f_test() -> None:
    x = grid(6, 8)
    a, b, e = squares(x)

    found = variance_components(x)

    assert found.rows.p == pytest.approx(stats.f.sf(a / e, 5, 35))
    assert found.columns.p == pytest.approx(stats.f.sf(b / e, 7, 35))
    assert found.rest.p is None


def test_rest_has_the_exact_interval_of_a_variance() -> None:
    x = grid(6, 8)
    e = squares(x)[2]

    assert variance_components(x).rest.interval == pytest.approx(
        (35 * e / stats.chi2.ppf(0.975, 35), 35 * e / stats.chi2.ppf(0.025, 35))
    )


def test_rows_interval_is_exact_where_the_rest_is_next_to_nothing() -> None:
    x = grid(6, 8, rest=1e-7)
    a, _, e = squares(x)
    low, high = (5 * a / stats.chi2.ppf(q, 5) / 8 for q in (0.975, 0.025))

    assert variance_components(x).rows.interval == pytest.approx((low, high), rel=1e-4)
    assert e < 1e-12


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_rows_interval_begins_at_zero_where_the_f_test_is_at_its_level(level: float) -> None:
    x = grid(6, 8)
    a, _, e = squares(x)
    centred = x.mean(1) - x.mean()
    target = stats.f.ppf((1 + level) / 2, 5, 35) * e
    # Scale the row means so that F is at its one-sided (1 − level)/2 point: the interval must just touch 0.
    for factor, touches in ((0.999, True), (1.02, False)):
        moved = x + (factor * np.sqrt(target / a) - 1) * centred[:, None]
        low = variance_components(moved, level).rows.low

        assert (low == 0.0) == touches


def brute_force(x, w, v):
    """Half mean squared differences over pairs of distinct original rows and columns, weighted."""
    n, columns = x.shape
    totals = {"down": [0.0, 0.0], "along": [0.0, 0.0], "across": [0.0, 0.0]}
    for i, k, j, m in product(range(n), range(n), range(columns), range(columns)):
        kind = {(True, False): "down", (False, True): "along", (True, True): "across"}.get((i != k, j != m))
        if kind is None:
            continue
        weight = w[i] * (w[k] if i != k else 1) * v[j] * (v[m] if j != m else 1)
        totals[kind][0] += weight * (x[i, j] - x[k, m]) ** 2 / 2
        totals[kind][1] += weight
    down, along, across = (total / weight for total, weight in totals.values())
    return across - along, across - down, down + along - across


def test_each_draw_is_the_mean_over_pairs_of_distinct_rows_and_columns() -> None:
    x = grid(4, 5)
    w = np.array([[2.0, 0, 1, 1], [1, 1, 1, 1]])
    v = np.array([[1.0, 3, 0, 1, 0], [1, 1, 1, 1, 1]])

    found = np.array(_pair_means(x, w, v)).T

    assert found[0] == pytest.approx(brute_force(x, w[0], v[0]))
    a, b, e = squares(x)
    assert found[1] == pytest.approx([(a - e) / 5, (b - e) / 4, e])


def test_resampled_intervals_are_reproducible_and_hold_the_estimate() -> None:
    x = grid(8, 8)
    found = resampled_components(x, draws=400)

    assert found == resampled_components(x, draws=400)
    for part in parts(found):
        assert 0 <= part.low <= part.value <= part.high
        assert "resampled" in part.method


@pytest.mark.parametrize("function", [variance_components, resampled_components])
@pytest.mark.parametrize(
    ("x", "has_value", "reason"),
    [
        (np.zeros((1, 6)), False, "at least two rows"),
        (np.zeros((6, 1)), False, "at least two rows"),
        (np.zeros((0, 0)), False, "at least two rows"),
        (np.full((6, 6), np.nan), False, "36 of 36 values not finite"),
        (np.ones((6, 6)), True, "all 36 values are equal"),
        (np.arange(20.0).reshape(4, 5), True, f"need at least {FEWEST_LEVELS}"),
    ],
)
def test_grids_without_an_answer_say_why(function, x, has_value: bool, reason: str) -> None:
    for part in parts(function(x)):
        assert (part.value is not None) == has_value
        assert part.interval is None
        assert reason in part.reason


def test_rows_and_columns_that_explain_everything_leave_no_measure_of_doubt() -> None:
    x = np.arange(6.0)[:, None] + np.array([0, 1, 0, 1, 0, 1])

    found = variance_components(x)

    assert found.rest.value == pytest.approx(0.0, abs=1e-25)
    assert found.rows.value == pytest.approx(3.5)
    assert found.rows.interval is None or found.rows.low > 0


def test_intervals_cover_normal_components() -> None:
    rng = np.random.default_rng(3)
    covered = np.zeros(3)
    for _ in range(300):
        x = rng.normal(size=(6, 1)) + 0.5 * rng.normal(size=7) + rng.normal(size=(6, 7))
        found = parts(variance_components(x))
        covered += [p.low <= truth <= p.high for p, truth in zip(found, (1, 0.25, 1), strict=True)]

    assert (covered / 300 >= 0.92).all()
