"""What seeds do to one arm: excess variance, disagreement and descriptive summaries."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import cochrans_q

from stabbench.statistics.seeds import disagreement, excess_variance, interquartile_mean, probability_of_improvement

CORRECT = np.random.default_rng(0).random((5, 200)) < np.linspace(0.2, 0.95, 200)


def test_excess_variance_is_cochrans_q_over_its_degrees_of_freedom() -> None:
    found = excess_variance(CORRECT)

    expected = cochrans_q(CORRECT.T.astype(int))
    assert found.value == pytest.approx(expected.statistic / 4)
    assert found.p == pytest.approx(expected.pvalue)


def test_excess_variance_is_the_variance_over_the_finite_test_floor() -> None:
    observed = np.var(CORRECT.mean(axis=1), ddof=1)
    floor = disagreement(CORRECT.astype(int)) / (2 * CORRECT.shape[1])

    assert excess_variance(CORRECT).value == pytest.approx(observed / floor)


def test_seeds_that_differ_beyond_chance_have_excess() -> None:
    shifted = np.random.default_rng(1).random((5, 400)) < np.array([[0.5], [0.6], [0.7], [0.8], [0.9]])

    assert excess_variance(shifted).value > 5
    assert excess_variance(CORRECT).value < 3


@pytest.mark.parametrize("correct", [np.ones((1, 9), bool), np.ones((4, 9), bool), np.ones((3, 0), bool)])
def test_excess_variance_without_variation_has_a_reason(correct) -> None:
    found = excess_variance(correct)

    assert found.value is None
    assert found.reason


def test_disagreement_is_the_mean_over_pairs() -> None:
    predicted = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [1, 1, 0, 0]])

    assert disagreement(predicted) == pytest.approx((1 + 2 + 1) / (3 * 4))
    assert disagreement(predicted[:1]) is None


def test_interquartile_mean_is_the_trimmed_mean() -> None:
    values = [0.1, 0.9, 0.5, 0.52, 0.48, 0.7, 0.2]

    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
    assert interquartile_mean([]) is None
    assert math.isnan(interquartile_mean([0.1, math.nan]))
    assert interquartile_mean([0.4, 0.5, 0.6, math.inf]) == pytest.approx(0.55)


def test_probability_of_improvement_is_mann_whitney() -> None:
    x, y = [0.5, 0.6, 0.6, 0.7], [0.6, 0.8, 0.9]

    assert probability_of_improvement(x, y) == pytest.approx(stats.mannwhitneyu(y, x).statistic / 12)
    assert probability_of_improvement(x, []) is None
    assert probability_of_improvement([math.nan], [0.5]) == 1.0
