"""Seeds crossed with texts: mean squares, the two-way t, rates; against statsmodels and formulas written out."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from stabbench.statistics.anova import mean_squares
from stabbench.statistics.crossed import (
    FEWEST_TEXTS,
    crossed_difference,
    crossed_mean,
    crossed_rate,
    crossed_rate_difference,
)
from stabbench.statistics.paired import paired_t

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(4, 1)) + RNG.normal(size=7) + RNG.normal(size=(4, 7))


def expected_squares(x):
    """Mean squares of rows, columns and rest by a linear model."""
    n, columns = x.shape
    long = pd.DataFrame({"x": x.ravel(), "i": np.repeat(range(n), columns), "j": np.tile(range(columns), n)})
    found = anova_lm(ols("x ~ C(i) + C(j)", long).fit())
    return (found["sum_sq"] / found["df"]).tolist()


def expected_error(x):
    """√V and ν, written out from the mean squares of the linear model."""
    n, columns = x.shape
    a, b, e = expected_squares(x)
    more = max(b - e, 0.0)
    doubt = a**2 / (n - 1)
    if more:
        doubt += b**2 / (columns - 1) + e**2 / ((n - 1) * (columns - 1))
    return math.sqrt((a + more) / (n * columns)), max((a + more) ** 2 / doubt, min(n, columns) - 1)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e150])
def test_mean_squares_are_those_of_the_linear_model(scale: float) -> None:
    found = mean_squares(scale * SCORES + 3 * scale)
    assert found is not None

    squared = [q * (found.scale / scale) ** 2 for q in (found.rows, found.columns, found.residual)]
    assert squared == pytest.approx(expected_squares(SCORES))


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("texts", [0.0, 1.0])
def test_two_way_t_is_the_formula_written_out(level: float, texts: float) -> None:
    x = RNG.normal(size=(5, 1)) + texts * RNG.normal(size=30) + RNG.normal(size=(5, 30))
    error, freedom = expected_error(x)

    found = crossed_mean(x, level)

    assert found.value == pytest.approx(x.mean())
    assert found.interval == pytest.approx(stats.t.interval(level, freedom, x.mean(), error))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(x.mean()) / error, freedom))


def test_without_differences_between_texts_it_is_the_t_over_seeds() -> None:
    x = RNG.normal(size=(6, 1)) + RNG.permuted(np.tile(np.arange(12.0), (6, 1)), axis=1) * 1e-6
    x -= x.mean(axis=0) - x.mean()

    assert crossed_mean(x).interval == pytest.approx(paired_t(x.mean(axis=1)).interval, rel=1e-6)


def test_a_difference_is_that_of_the_tables_and_swaps_sign() -> None:
    a, b = RNG.random((5, 40)) < 0.7, RNG.random((5, 40)) < 0.8

    found, swapped = crossed_difference(a, b), crossed_difference(b, a)

    assert found == crossed_mean(b.astype(float) - a.astype(float))
    assert swapped.value == pytest.approx(-found.value)
    assert swapped.interval == pytest.approx((-found.high, -found.low))
    assert swapped.p == pytest.approx(found.p)


def test_interval_covers_new_seeds_and_new_texts_where_one_over_seeds_does_not() -> None:
    rng = np.random.default_rng(8)
    covered = np.zeros(2)
    for _ in range(300):
        x = 0.05 * rng.normal(size=(10, 1)) + 0.5 * rng.normal(size=80) + rng.normal(size=(10, 80))
        both, seeds = crossed_mean(x), paired_t(x.mean(axis=1))
        covered += [both.low <= 0 <= both.high, seeds.low <= 0 <= seeds.high]

    assert covered[0] / 300 >= 0.92
    assert covered[1] / 300 <= 0.85


def test_rate_of_a_full_table_is_a_logit_interval_of_the_two_way_error() -> None:
    hits = RNG.random((5, 30)) < RNG.uniform(0.1, 0.7, 30)
    rate = hits.mean()
    error, freedom = expected_error(hits.astype(float))
    half = stats.t.ppf(0.975, freedom) * error / (rate * (1 - rate))

    found = crossed_rate(hits)

    logit = math.log(rate / (1 - rate))
    assert found.value == pytest.approx(rate)
    assert found.interval == pytest.approx(tuple(1 / (1 + math.exp(-x)) for x in (logit - half, logit + half)))


def test_rate_of_a_table_with_empty_cells_is_the_ratio_of_sums() -> None:
    tried = RNG.random((6, 40)) < 0.6
    hits = tried & (RNG.random((6, 40)) < 0.5)
    rate = hits.sum() / tried.sum()
    error, freedom = expected_error((hits - rate * tried) / tried.mean())
    half = stats.t.ppf(0.975, freedom) * error / (rate * (1 - rate))

    found = crossed_rate(hits, tried)

    assert found.value == pytest.approx(rate)
    assert found.low == pytest.approx(1 / (1 + math.exp(-(math.log(rate / (1 - rate)) - half))))


def test_a_rare_rate_counts_texts_and_not_answers() -> None:
    hits = np.zeros((25, 20))
    hits[:, 0] = RNG.random(25) < 0.6
    rate = hits.mean()
    assert 20 * rate < FEWEST_TEXTS
    error, freedom = expected_error(hits)
    worth = min(rate * (1 - rate) / error**2, 20) * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, freedom)) ** 2

    found = crossed_rate(hits)

    low = stats.beta.ppf(0.025, rate * worth, worth - rate * worth + 1)
    high = stats.beta.ppf(0.975, rate * worth + 1, worth - rate * worth)
    assert found.interval == pytest.approx((low, high))
    assert found.high > 0.15


@pytest.mark.parametrize("swap", [False, True])
def test_rates_of_hits_and_of_misses_mirror_each_other(swap: bool) -> None:
    hits = RNG.random((5, 30)) < (0.04 if swap else 0.3)

    found, mirrored = crossed_rate(hits), crossed_rate(~hits)

    assert found.interval == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


@pytest.mark.parametrize(
    ("values", "value", "reason"),
    [
        (np.zeros((0, 5)), None, "no seed or no text"),
        (np.zeros((5, 0)), None, "no seed or no text"),
        (np.ones((1, 5)), 1.0, "one seed"),
        (np.ones((5, 1)), 1.0, "one text"),
        (np.ones((3, 4)), 1.0, "all values are alike"),
        (np.array([[1.0, 0.0], [0.0, 1.0]]), 0.5, "stands out"),
        (np.array([[1.0, np.nan], [0.0, 1.0]]), None, "1 of 4 values not finite"),
        (np.array([[1.0, np.inf], [-np.inf, 1.0]]), None, "2 of 4 values not finite"),
    ],
)
def test_tables_that_say_nothing_about_others_have_a_reason(values, value, reason: str) -> None:
    for found in (crossed_mean(values), crossed_rate(values)):
        assert found.value == value
        assert found.interval is None
        assert reason in found.reason


def test_tables_of_different_shapes_are_not_compared() -> None:
    assert "different shapes" in crossed_difference(np.ones((3, 4)), np.ones((4, 4))).reason
    assert "different shapes" in crossed_rate(np.ones((3, 4)), np.ones((3, 5))).reason
    assert "nothing was tried" in crossed_rate(np.zeros((3, 4)), np.zeros((3, 4))).reason


def some_tried(rng: np.random.Generator, n: int = 5, texts: int = 40) -> tuple[np.ndarray, np.ndarray]:
    tried = (rng.random((n, texts)) < 0.7).astype(float)
    return tried * (rng.random((n, texts)) < 0.2 + 0.5 * rng.random(texts)), tried


def test_the_difference_of_two_rates_is_linearised_as_written_out() -> None:
    rng = np.random.default_rng(4)
    first, second = some_tried(rng), some_tried(rng)

    found = crossed_rate_difference(first, second, 0.9)

    rates = [hits.sum() / tried.sum() for hits, tried in (first, second)]
    residuals = [(h - r * m) / m.mean() for (h, m), r in zip((first, second), rates, strict=True)]
    error, freedom = expected_error(residuals[1] - residuals[0])
    half = stats.t.ppf(0.95, freedom) * error
    assert found.value == pytest.approx(rates[1] - rates[0])
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    back = crossed_rate_difference(second, first, 0.9)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))


def test_the_difference_of_rates_that_were_all_tried_is_that_of_means() -> None:
    rng = np.random.default_rng(5)
    first, second = (rng.random((2, 5, 30)) < np.array([0.3, 0.6])[:, None, None]).astype(float)
    every = np.ones_like(first)

    found, expected = crossed_rate_difference((first, every), (second, every)), crossed_difference(first, second)

    assert (found.value, found.low, found.high, found.p) == pytest.approx(
        (expected.value, expected.low, expected.high, expected.p)
    )


def test_a_difference_of_rates_that_cannot_be_told_says_why() -> None:
    hits, tried = some_tried(np.random.default_rng(6))

    assert crossed_rate_difference((hits, tried), (hits, np.zeros_like(tried))).value is None
    assert "nothing was tried" in crossed_rate_difference((hits * 0, tried * 0), (hits, tried)).reason
    assert "different shapes" in crossed_rate_difference((hits, tried), (hits[:, :9], tried[:, :9])).reason
    one = crossed_rate_difference((hits[:1], tried[:1]), (hits[1:2], tried[1:2]))
    assert one.value is not None
    assert one.interval is None
    assert "one seed" in one.reason
    assert crossed_rate_difference((hits, tried), (hits, tried)).interval is None
