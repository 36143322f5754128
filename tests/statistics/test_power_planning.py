"""What a number of seeds can show."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from stabbench.statistics.failure_power import boschloo_table, failure_power, needed_seeds_for_failures
from stabbench.statistics.failures import boschloo, newcombe
from stabbench.statistics.power import (
    boschloo_floor,
    detectable_effect,
    needed_seeds,
    paired_t_power,
    reachable_verdicts,
    sign_flip_floor,
    unpaired_t_power,
)
from stabbench.statistics.result import excludes_zero


@pytest.mark.parametrize("n", [3, 6, 10, 25])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_detectable_effect_has_eighty_percent_power(n: int, alpha: float) -> None:
    found = detectable_effect(n, alpha=alpha)

    assert TTestPower().power(found, n, alpha) == pytest.approx(0.80, abs=1e-4)
    assert detectable_effect(n, alpha=alpha, sd=0.02) == pytest.approx(0.02 * found)


@pytest.mark.parametrize("effect", [0.0, 0.5, 2.0, 8.0])
def test_power_is_that_of_statsmodels(effect: float) -> None:
    assert paired_t_power(effect, 6) == pytest.approx(TTestPower().power(effect, 6, 0.05), abs=1e-6)


def test_more_seeds_detect_smaller_effects_and_one_seed_none() -> None:
    effects = [detectable_effect(n) for n in range(2, 30)]

    assert effects == sorted(effects, reverse=True)
    assert detectable_effect(1) is None


@pytest.mark.parametrize("n", [2, 3, 5, 6])
def test_boschloo_floor_is_reached_when_one_arm_always_fails(n: int) -> None:
    assert boschloo((n, n), (0, n)).p == pytest.approx(boschloo_floor(n), rel=1e-4)


def test_reachable_verdicts_follow_the_rules() -> None:
    assert "improved" not in reachable_verdicts("level", 1)
    assert "improved" in reachable_verdicts("level", 2)
    assert "improved" not in reachable_verdicts("robustness", 2)
    assert "improved" not in reachable_verdicts("spread", 4)
    assert "improved" in reachable_verdicts("spread", 5)
    assert "improved" not in reachable_verdicts("failure", 2)
    assert "improved" in reachable_verdicts("failure", 3)
    assert sign_flip_floor(5) == 0.0625


@pytest.mark.parametrize("effect", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("n", [2, 5, 25])
def test_power_of_independent_arms_is_that_of_statsmodels(effect: float, n: int) -> None:
    assert unpaired_t_power(effect, n) == pytest.approx(TTestIndPower().power(effect, n, 0.05), abs=1e-6)


@pytest.mark.parametrize("effect", [0.5, 0.8, 1.0, -1.5, 2.0])
@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("alpha", [0.05, 0.05 / 3])
def test_needed_seeds_are_the_fewest_with_that_power(effect: float, paired: bool, alpha: float) -> None:
    oracle = TTestPower() if paired else TTestIndPower()

    n = needed_seeds(effect, paired=paired, alpha=alpha)

    assert oracle.power(abs(effect), n, alpha) >= 0.80
    assert oracle.power(abs(effect), n - 1, alpha) < 0.80


def test_pairs_that_correlate_need_fewer_seeds() -> None:
    # An effect of 1 SD of a run's value is 1/√(2(1−ρ)) SDs of the differences.
    assert [needed_seeds(1 / math.sqrt(2 * (1 - rho))) for rho in (0.0, 0.3, 0.6)] == [18, 14, 9]
    assert needed_seeds(1.0, paired=False) == 17


def test_no_number_of_seeds_shows_what_is_not_there() -> None:
    assert needed_seeds(0.0) is None
    assert needed_seeds(math.nan) is None
    assert needed_seeds(math.inf) == 2
    assert needed_seeds_for_failures(0.3, 0.3) is None
    assert needed_seeds_for_failures(0.30, 0.29, most=10) is None
    assert needed_seeds_for_failures(math.nan, 0.2) is None


@pytest.mark.parametrize("n", [1, 4, 7])
def test_boschloo_for_all_tables_is_boschloo_for_each(n: int) -> None:
    expected = [[boschloo((a, n), (b, n)).p for b in range(n + 1)] for a in range(n + 1)]

    assert boschloo_table(n) == pytest.approx(np.array(expected), rel=1e-3)


@pytest.mark.parametrize(("reference", "candidate"), [(0.5, 0.1), (0.9, 0.0), (0.3, 0.3)])
def test_failure_power_is_the_chance_of_a_table_that_decides(reference: float, candidate: float) -> None:
    n = 6
    expected = sum(
        stats.binom.pmf(a, n, reference) * stats.binom.pmf(b, n, candidate)
        for a in range(n + 1)
        for b in range(n + 1)
        if boschloo((a, n), (b, n)).p < 0.05 and excludes_zero(newcombe((a, n), (b, n)).interval)
    )

    assert failure_power(reference, candidate, n) == pytest.approx(expected)


def test_needed_seeds_for_failures_have_the_power_they_promise() -> None:
    n = needed_seeds_for_failures(0.6, 0.1)

    assert failure_power(0.6, 0.1, n) >= 0.80
    assert failure_power(0.6, 0.1, n - 1) < 0.80
    assert failure_power(0.6, 0.1, 0) == 0.0
    assert math.isnan(failure_power(math.nan, 0.1, 5))
