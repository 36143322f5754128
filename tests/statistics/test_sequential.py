"""Looking more than once: the error over all looks, the power it costs, what it saves; against simulation and scipy."""

from __future__ import annotations

import importlib.util
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from stabbench.statistics.multiplicity import holm_levels
from stabbench.statistics.sequential import (
    Design,
    chance_of_decision,
    expected_seeds,
    holm_levels_at,
    looks_between,
    outcomes,
    spent,
)

DEFAULT = Design(looks_between(6, 25))
NEVER_FUTILE = 0.0


def t_p_values(differences: np.ndarray, n: int) -> np.ndarray:
    found: np.ndarray = stats.ttest_1samp(differences[:, :n], 0.0, axis=1).pvalue
    return found


@pytest.mark.parametrize(
    ("first", "last", "looks"),
    [
        (6, 25, (6, 9, 13, 18, 25)),
        (3, 48, (3, 6, 12, 24, 48)),
        (6, 9, (6, 9)),
        (3, 5, (3, 5)),
        (5, 12, (5, 7, 10, 12)),
    ],
)
def test_the_looks_rise_in_about_equal_ratios(first: int, last: int, looks: tuple[int, ...]) -> None:
    assert looks_between(first, last) == looks


@pytest.mark.parametrize("last", range(6, 60))
def test_looks_start_and_end_as_asked_and_are_never_closer_than_two(last: int) -> None:
    for first in range(3, last - 1):
        looks = looks_between(first, last)
        assert (looks[0], looks[-1]) == (first, last)
        assert len(looks) <= 5
        assert all(b - a >= 2 for a, b in pairwise(looks))


def test_spending_functions_are_those_of_lan_and_demets() -> None:
    for fraction in (0.24, 0.5, 0.9):
        expected = 2 * (1 - stats.norm.cdf(stats.norm.ppf(0.975) / math.sqrt(fraction)))
        assert spent("obrien-fleming", fraction, 0.05) == pytest.approx(expected, rel=1e-9)
        assert spent("pocock", fraction, 0.05) == pytest.approx(0.05 * math.log(1 + (math.e - 1) * fraction))
    assert spent("obrien-fleming", 1.0, 0.05) == pytest.approx(0.05)
    assert spent("pocock", 1.0, 0.05) == pytest.approx(0.05)


def test_two_looks_spend_what_an_integral_over_both_says() -> None:
    """P(|t₆| below, |t₁₀| above) by integrating over what the first six and the last four differences can be."""
    first, last = 6, 10
    design = Design((first, last))
    c1, c2 = (stats.t.ppf(1 - design.level(k) / 2, n - 1) for k, n in enumerate(design.looks))
    rng = np.random.default_rng(5)
    # Over the first look t and its scale are drawn evenly (quasi-random), over the second s is integrated out exactly.
    u = stats.qmc.Sobol(3, seed=rng).random(2**13)
    t1 = stats.t.ppf(u[:, 0], first - 1)
    chi = stats.chi2.ppf(u[:, 1], first)
    r = t1 / np.sqrt(first - 1 + t1**2)
    total, squares = r * np.sqrt(first * chi), chi
    rest = stats.chi2.ppf(u[:, 2], last - first - 1)

    def crosses(z: float) -> float:
        s = z * math.sqrt(last - first)
        whole = total + s
        q = squares + z**2 + rest
        spread = np.sqrt(np.maximum(q - whole**2 / last, 1e-300) / (last - 1) / last)
        hit = (np.abs(t1) <= c1) & (np.abs(whole / last) > c2 * spread)
        return float(np.mean(hit)) * float(stats.norm.pdf(z))

    grid = np.linspace(-8, 8, 1601)
    found = integrate.trapezoid([crosses(z) for z in grid], grid)

    assert found == pytest.approx(0.05 - design.level(0), abs=3e-4)


@pytest.mark.parametrize("spending", ["obrien-fleming", "pocock"])
@pytest.mark.parametrize("looks", [(6, 9, 13, 18, 25), (3, 5, 8), (3, 60)])
def test_each_look_spends_its_share_of_the_error(spending: str, looks: tuple[int, ...]) -> None:
    design = Design(looks, spending)  # type: ignore[arg-type]
    draws = 60_000
    x = np.random.default_rng(11).standard_normal((draws, looks[-1]))
    before, open_ = 0.0, np.ones(draws, dtype=bool)

    for k, n in enumerate(looks):
        hit = open_ & (t_p_values(x, n) < design.level(k))
        share = spent(design.spending, n / looks[-1], 0.05)
        error = math.sqrt(max(share - before, 1e-6) / draws)
        assert hit.mean() == pytest.approx(share - before, abs=4 * error)
        before, open_ = share, open_ & ~hit


def test_the_figures_it_was_chosen_for() -> None:
    """Error at most 5 %, at most 5 points of power lost against all 25, at most 60 % of the trials at 1.2 SD."""
    draws = 20_000
    x = np.random.default_rng(7).standard_normal((draws, 25))

    binding = outcomes(Design(DEFAULT.looks, futility=NEVER_FUTILE), x)
    assert binding.different.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
    assert outcomes(DEFAULT, x).different.mean() <= binding.different.mean()
    for effect in (0.3, 0.45, 0.6, 0.8, 1.0):
        found = outcomes(DEFAULT, x + effect)
        assert found.fixed.mean() - found.different.mean() <= 0.05
    assert outcomes(DEFAULT, x + 1.2).seeds.mean() <= 0.6 * 25


def test_the_fixed_test_is_scipys() -> None:
    x = np.random.default_rng(2).standard_normal((500, 25)) + 0.4

    found = outcomes(DEFAULT, x)

    assert np.array_equal(found.fixed, t_p_values(x, 25) < 0.05)


def test_the_level_of_a_look_rises_with_its_share_of_the_error() -> None:
    """Holm's step-down needs it: what is decided at a smaller share is decided at a larger one."""
    shares = [0.05 / m for m in (6, 5, 4, 3, 2, 1)] + [0.10]
    for k in range(5):
        levels = [DEFAULT.level(k, share) for share in shares]
        assert all(a < b for a, b in pairwise(levels))
        assert all(level < share for level, share in zip(levels, shares, strict=True))


def test_repeated_intervals_cover_at_all_looks_at_once() -> None:
    draws, truth = 20_000, 0.7
    x = np.random.default_rng(3).standard_normal((draws, 25)) + truth
    covered = np.ones(draws, dtype=bool)

    for k, n in enumerate(DEFAULT.looks):
        half = stats.t.ppf(1 - DEFAULT.level(k) / 2, n - 1) * stats.sem(x[:, :n], axis=1)
        covered &= np.abs(x[:, :n].mean(axis=1) - truth) <= half

    assert covered.mean() >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / draws)


def test_equivalence_is_wrong_at_most_five_percent_at_the_margin() -> None:
    draws = 20_000
    margin = 1.0
    x = np.random.default_rng(4).standard_normal((draws, 25)) + margin

    found = outcomes(DEFAULT, x, margin=margin)

    assert found.equivalent.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)


def test_a_margin_that_can_be_met_keeps_no_effect_from_looking_futile() -> None:
    x = 0.2 * np.random.default_rng(6).standard_normal((400, 25))

    found = outcomes(DEFAULT, x, margin=0.2)

    assert found.equivalent.mean() > 0.95
    assert found.seeds.mean() < 25


def test_the_chance_of_a_decision_is_what_drawing_the_rest_gives() -> None:
    """Draw the mean from its flat-prior posterior and then the missing differences, with s known."""
    effect, s, n, last, level, margin = 0.4, 1.0, 9, 25, 0.04, 0.6
    rng = np.random.default_rng(8)
    true = effect + s / math.sqrt(n) * rng.standard_normal(200_000)
    rest = true + s / math.sqrt(last - n) * rng.standard_normal(len(true))
    mean = (n * effect + (last - n) * rest) / last
    outside = stats.t.ppf(1 - level / 2, last - 1) * s / math.sqrt(last)
    inside = margin - stats.t.ppf(0.95, last - 1) * s / math.sqrt(last)

    without = chance_of_decision(effect, s / math.sqrt(n), n, last, level)
    within = chance_of_decision(effect, s / math.sqrt(n), n, last, level, margin)

    assert without == pytest.approx(np.mean(np.abs(mean) > outside), abs=0.005)
    assert within == pytest.approx(np.mean((np.abs(mean) > outside) | (np.abs(mean) <= inside)), abs=0.005)
    assert without < within < 1


def test_without_any_spread_the_chance_is_none_or_certain() -> None:
    assert chance_of_decision(0.0, 0.0, 6, 25, 0.04) == 0.0
    assert chance_of_decision(0.3, 0.0, 6, 25, 0.04) == 1.0
    assert chance_of_decision(0.0, 0.0, 6, 25, 0.04, margin=0.01) == 1.0


def test_the_expected_seeds_are_those_of_a_simulation_of_its_own() -> None:
    x = np.random.default_rng(21).standard_normal((20_000, 25)) + 0.8

    assert expected_seeds(DEFAULT, 0.8) == pytest.approx(outcomes(DEFAULT, x).seeds.mean(), abs=0.3)
    assert expected_seeds(DEFAULT, 3.0) < expected_seeds(DEFAULT, 1.2) < expected_seeds(DEFAULT, 0.6)


def test_the_report_of_the_simulation_still_comes_out() -> None:
    """``reports/statistics/sequential.md`` is made by this code; few experiments show that it runs."""
    file = Path(__file__).parents[2] / "suites" / "bench_sequential.py"
    spec = importlib.util.spec_from_file_location("bench_sequential", file)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)

    assert "| obrien-fleming | 6% |" in bench.choice_table(300)
    assert len(bench.shapes_table(DEFAULT, 300).splitlines()) == 2 + len(bench.SHAPES)


def test_at_a_level_that_is_the_share_holm_is_holm() -> None:
    p_values = [0.03, None, 0.001, 0.2]

    found = holm_levels_at(p_values, 0.05, lambda share: share)

    assert [level for _, level in found] == holm_levels(p_values, 0.05)
    assert [share for share, _ in found] == holm_levels(p_values, 0.05)


def test_a_share_passes_on_only_where_the_level_of_the_look_was_met() -> None:
    level = {0.025: 0.001, 0.05: 0.002}

    met = holm_levels_at([0.0005, 0.0015], 0.05, level.__getitem__)
    missed = holm_levels_at([0.0012, 0.0015], 0.05, level.__getitem__)

    assert met == [(0.025, 0.001), (0.05, 0.002)]
    assert missed == [(0.025, 0.001), (0.025, 0.001)]


def test_holm_over_looks_holds_the_error_of_the_family() -> None:
    """Two true nulls, either of which may stop the looks: no more than 5 % end in a false decision."""
    draws = 4_000
    rng = np.random.default_rng(9)
    first, second = rng.standard_normal((2, draws, 25))
    wrong = np.zeros(draws, dtype=bool)
    running = np.ones(draws, dtype=bool)
    for k, n in enumerate(DEFAULT.looks):
        p = np.stack([t_p_values(first, n), t_p_values(second, n)])
        for i in np.flatnonzero(running & (p.min(axis=0) < 0.05)):
            levels = holm_levels_at(list(p[:, i]), 0.05, lambda share, k=k: DEFAULT.level(k, share))  # type: ignore[misc]
            # The worst stop: as soon as anything at all looks decided.
            wrong[i] = any(value < level for value, (_, level) in zip(p[:, i], levels, strict=True))
            running[i] = not wrong[i]

    assert wrong.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
