"""Failure rates: Boschloo, McNemar, Clopper-Pearson, Wilson and Newcombe against independent formulas."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from stabbench.statistics.failures import boschloo, mcnemar, newcombe
from stabbench.statistics.proportions import clopper_pearson, wilson


def brute_force_boschloo(k1: int, n1: int, k2: int, n2: int) -> float:
    """Twice the smaller one-sided p: sup over a grid of rates of P(Fisher's one-sided p ≤ observed)."""
    rates = np.linspace(0, 1, 2001)
    sides = []
    for sign in (1, -1):
        fisher = np.array(
            [
                [
                    (
                        stats.hypergeom.sf(a - 1, n1 + n2, a + b, n1)
                        if sign > 0
                        else stats.hypergeom.cdf(a, n1 + n2, a + b, n1)
                    )
                    for b in range(n2 + 1)
                ]
                for a in range(n1 + 1)
            ]
        )
        rare = fisher <= fisher[k1, k2] * (1 + 1e-9)
        first = stats.binom.pmf(np.arange(n1 + 1)[:, None], n1, rates)
        second = stats.binom.pmf(np.arange(n2 + 1)[:, None], n2, rates)
        sides.append(np.einsum("ab,ar,br->r", rare, first, second).max())
    return min(1.0, 2 * min(sides))


@pytest.mark.parametrize(
    ("k1", "n1", "k2", "n2"), [(5, 5, 0, 5), (2, 6, 0, 6), (4, 6, 1, 6), (3, 7, 1, 5), (0, 6, 6, 6)]
)
def test_boschloo_is_the_supremum_over_the_common_rate(k1: int, n1: int, k2: int, n2: int) -> None:
    assert boschloo((k1, n1), (k2, n2)).p == pytest.approx(brute_force_boschloo(k1, n1, k2, n2), abs=2e-4)


def test_five_failures_of_five_against_none_is_decided() -> None:
    assert boschloo((5, 5), (0, 5)).p == pytest.approx(0.00195, abs=1e-5)


def test_every_small_table_has_an_answer_without_a_warning_and_symmetric() -> None:
    for n in range(1, 6):
        for a in range(n + 1):
            for b in range(n + 1):
                found = boschloo((a, n), (b, n)).p

                assert found is not None
                assert 0 < found <= 1
                assert boschloo((b, n), (a, n)).p == pytest.approx(found, abs=1e-6)


def test_an_empty_arm_has_no_answer_but_a_reason() -> None:
    assert boschloo((0, 0), (1, 3)).p is None
    assert newcombe((0, 0), (1, 3)).reason
    assert wilson(0, 0).value is None
    assert clopper_pearson(0, 0).interval is None


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (6, 0), (0, 6), (3, 4), (9, 2)])
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int) -> None:
    found = mcnemar(b, c).p

    expected = statsmodels_mcnemar([[10, b], [c, 10]], exact=True).pvalue if b + c else 1.0
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (2, 6), (6, 6), (7, 25)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_intervals_of_one_share(k: int, n: int, level: float) -> None:
    assert clopper_pearson(k, n, level).interval == pytest.approx(proportion_confint(k, n, 1 - level, "beta"))
    assert wilson(k, n, level).interval == pytest.approx(proportion_confint(k, n, 1 - level, "wilson"), abs=1e-12)


@pytest.mark.parametrize(("k1", "n1", "k2", "n2"), [(2, 6, 0, 6), (0, 6, 0, 6), (5, 5, 0, 5), (3, 25, 11, 20)])
def test_newcombe_is_candidate_minus_reference(k1: int, n1: int, k2: int, n2: int) -> None:
    found = newcombe((k1, n1), (k2, n2))

    expected = confint_proportions_2indep(k2, n2, k1, n1, compare="diff", method="newcomb")
    assert found.value == pytest.approx(k2 / n2 - k1 / n1)
    assert found.interval == pytest.approx(expected, abs=1e-9)
