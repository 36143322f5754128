"""Multi-bootstrap and paired bootstrap, against resampling by index and the moments of their draws."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from stabbench.statistics.bootstrap import (
    FEWEST_DISCORDANT,
    FEWEST_SEEDS,
    discordant,
    multi_bootstrap,
    paired_bootstrap,
)
from stabbench.statistics.failures import mcnemar

RNG = np.random.default_rng(4)
REFERENCE = RNG.normal(size=(24, 1)) + RNG.normal(size=30) + RNG.normal(size=(24, 30))
CANDIDATE = 0.5 + REFERENCE + RNG.normal(size=(24, 1)) + 0.5 * RNG.normal(size=30)


def by_index(first, second, paired: bool, draws: int) -> np.ndarray:
    rng = np.random.default_rng(9)
    found = []
    for _ in range(draws):
        texts = rng.integers(0, first.shape[1], first.shape[1])
        seeds = rng.integers(0, len(first), len(first))
        others = seeds if paired else rng.integers(0, len(second), len(second))
        found.append(second[others][:, texts].mean() - first[seeds][:, texts].mean())
    return np.array(found)


@pytest.mark.parametrize("paired", [True, False])
def test_multi_bootstrap_is_resampling_by_index(paired: bool) -> None:
    second = CANDIDATE if paired else np.vstack([CANDIDATE, CANDIDATE[:3] + 1])
    means = by_index(REFERENCE, second, paired, 6000)

    found = multi_bootstrap(REFERENCE, second, paired=paired, draws=6000)

    assert found.value == pytest.approx(second.mean() - REFERENCE.mean())
    spread = means.std()
    assert found.interval == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.12 * spread)


def test_paired_seeds_are_drawn_together() -> None:
    shifted = REFERENCE + 0.3

    assert multi_bootstrap(REFERENCE, shifted).interval == pytest.approx((0.3, 0.3))
    low, high = multi_bootstrap(REFERENCE, shifted, paired=False).interval
    assert high - low > 0.5


def test_draws_are_reproducible_and_from_the_generator_given() -> None:
    assert multi_bootstrap(REFERENCE, CANDIDATE) == multi_bootstrap(REFERENCE, CANDIDATE)
    other = multi_bootstrap(REFERENCE, CANDIDATE, rng=np.random.default_rng(3))
    assert other.interval != multi_bootstrap(REFERENCE, CANDIDATE).interval


@pytest.mark.parametrize("n", [1, 3, FEWEST_SEEDS - 1])
def test_few_seeds_have_a_value_and_say_why_no_interval(n: int) -> None:
    found = multi_bootstrap(REFERENCE[:n], CANDIDATE[:n])

    assert found.value == pytest.approx((CANDIDATE[:n] - REFERENCE[:n]).mean())
    assert found.interval is None
    assert f"fewer than {FEWEST_SEEDS}" in found.reason


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3)), "no seed or no text"),
        (np.zeros((3, 0)), np.zeros((3, 0)), "no seed or no text"),
        (np.zeros((3, 2)), np.zeros((3, 4)), "different shapes"),
        (np.zeros((3, 2)), np.zeros((4, 2)), "different shapes"),
        (np.full((30, 2), np.nan), np.zeros((30, 2)), "60 of 120 values not finite"),
        (np.zeros((30, 1)), np.ones((30, 1)), "one text"),
    ],
)
def test_multi_bootstrap_answers_awkward_input_with_a_reason(first, second, reason: str) -> None:
    found = multi_bootstrap(first, second)

    assert found.interval is None
    assert reason in found.reason


def test_paired_bootstrap_is_resampling_the_texts() -> None:
    a, b = RNG.random(200) < 0.75, RNG.random(200) < 0.8
    d = b.astype(int) - a.astype(int)
    means = d[np.random.default_rng(2).integers(0, 200, (20_000, 200))].mean(axis=1)

    found = paired_bootstrap(a, b, draws=20_000)

    assert found.value == pytest.approx(d.mean())
    assert found.interval == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.006)


def test_few_discordant_texts_have_bonett_and_prices_interval() -> None:
    a = np.ones(100, bool)
    b = a.copy()
    b[:3] = False
    found = paired_bootstrap(a, b)

    # q₁ = 4/102, q₂ = 1/102: d̃ = −3/102, half = 1.959964·√((5/102 − (3/102)²)/102).
    half = 1.959964 * np.sqrt((5 / 102 - (3 / 102) ** 2) / 102)
    assert found.value == pytest.approx(-0.03)
    assert found.interval == pytest.approx((-3 / 102 - half, -3 / 102 + half), rel=1e-5)
    assert FEWEST_DISCORDANT > 3


def test_models_that_answer_alike_still_have_width() -> None:
    for n in (1, 5, 1000):
        low, high = paired_bootstrap(np.ones(n, bool), np.ones(n, bool)).interval

        assert -1 <= low < 0 < high <= 1


def test_swapping_the_models_flips_the_difference() -> None:
    a, b = RNG.random(300) < 0.6, RNG.random(300) < 0.7

    found, swapped = paired_bootstrap(a, b), paired_bootstrap(b, a)

    assert swapped.value == -found.value
    assert swapped.interval == pytest.approx((-found.high, -found.low), abs=0.01)
    assert discordant(a, b) == discordant(b, a)[::-1]
    assert mcnemar(*discordant(a, b)).p == mcnemar(*discordant(b, a)).p


def test_mcnemar_holds_for_thousands_of_texts() -> None:
    expected = statsmodels_mcnemar([[0, 1500], [1610, 0]], exact=True).pvalue

    assert mcnemar(1500, 1610).p == pytest.approx(expected)
    assert mcnemar(0, 3000).p == pytest.approx(0.0)


@pytest.mark.parametrize(("a", "b", "reason"), [([], [], "no text"), ([True], [True, False], "same texts")])
def test_texts_that_cannot_be_paired_have_a_reason(a, b, reason: str) -> None:
    assert reason in paired_bootstrap(a, b).reason
