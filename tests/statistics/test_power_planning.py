"""What a number of seeds can show."""

import pytest
from statsmodels.stats.power import TTestPower

from stabbench.statistics.failures import boschloo
from stabbench.statistics.power import (
    boschloo_floor,
    detectable_effect,
    paired_t_power,
    reachable_verdicts,
    sign_flip_floor,
)


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
