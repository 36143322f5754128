"""Looking at the seeds more than once: a group-sequential paired t test with alpha spending and futility.

The size of the test is held over all looks together, whatever made it stop: an interval at the level of a look
(`Design.level`) covers the truth at every look at once with the chance 1 − α (Jennison & Turnbull's repeated interval).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Spending = Literal["obrien-fleming", "pocock"]
Floats = NDArray[np.float64]
MOST_LOOKS = 5
FEWEST_BETWEEN = 2
"""Fewest seeds between two looks: the recursion of the levels divides by their degrees of freedom."""
CELLS = 100
NODES = 24
STEPS = 4001
LEAST = 1e-15
"""A look that may spend less than this spends it all the same, which nobody will notice."""
FARTHEST = 8.0
"""Where the cells end in z: what lies beyond has a chance of 1e-15."""


@dataclass(frozen=True)
class Design:
    """When the differences are looked at, how the error is spent, and when to give up.

    The defaults were chosen by simulation (``reports/statistics/sequential.md``): O'Brien-Fleming-like spending is the
    one that loses at most 5 points of power against the fixed test with all seeds, and 6 % is a futility bound at which
    this holds for every range of seeds tried.

    Attributes:
        looks: seeds at each look, rising by at least 2, at least 3 at the first.
        spending: share of the error spent by the information fraction f = n/N. ``obrien-fleming``:
            2 − 2Φ(z₁₋α/₂/√f); ``pocock``: α·ln(1 + (e − 1)f). Source: Lan & DeMets (1983), Biometrika 70:659.
        futility: stop where `chance_of_decision` is below it. Not binding: the levels do not count on it, so going on
            all the same costs no error.
    """

    looks: tuple[int, ...]
    spending: Spending = "obrien-fleming"
    futility: float = 0.06

    def level(self, look: int, alpha: float = 0.05) -> float:
        """Return the two-sided level that a p-value must stay below at `look` (0-based), for `alpha` over all looks."""
        return _levels(self.looks, self.spending, alpha)[look]


def looks_between(first: int, last: int) -> tuple[int, ...]:
    """Return up to five seed counts from `first` to `last` in about equal ratios: 6 to 25 gives 6, 9, 13, 18, 25.

    Args:
        first: seeds at the first look, at least 3.
        last: most seeds, at least `first` + 2.
    """
    ratio = (last / first) ** (1 / (MOST_LOOKS - 1))
    looks = [first]
    for step in range(1, MOST_LOOKS - 1):
        # A hair less, so that rounding up does not turn an exact power into the next number.
        count = math.ceil(first * ratio**step - 1e-9)
        if count >= looks[-1] + FEWEST_BETWEEN and count <= last - FEWEST_BETWEEN:
            looks.append(count)
    return (*looks, last)


def spent(spending: Spending, fraction: float, alpha: float) -> float:
    """Return how much of `alpha` may be spent by the information fraction, in (0, 1]; all of it at 1."""
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1) * fraction)
    from scipy.special import ndtr, ndtri

    return float(2 * ndtr(ndtri(alpha / 2) / math.sqrt(fraction)))


@cache
def _levels(looks: tuple[int, ...], spending: Spending, alpha: float) -> tuple[float, ...]:
    """Return the level of each look such that P(first crossing at look k) = spent(k) − spent(k − 1), exactly for t.

    With S and Q the sum and the sum of squares of n differences, r = S/√(nQ) is t in another scale:
    t = r·√(n−1)/√(1−r²). Without an effect Q is independent of all r so far (Basu's theorem), so r is a Markov chain:
    after m more differences r' = (r·√(nB) + w·√(m(1−B)))/√(n+m) with B ~ Beta(n/2, m/2) and w√(m−1)/√(1−w²) ~ t₍m−1₎.
    The density of r where nothing was crossed is carried from look to look on cells of equal width in z. Levels from
    the normal recursion would spend 5.2 % of 5 % with 6, 9, 13, 18, 25 seeds. Source: Jennison & Turnbull (1991),
    Biometrika 78:133.
    """
    from scipy.special import ndtr, ndtri, stdtrit

    shares = [spent(spending, n / looks[-1], alpha) for n in looks]
    levels = [max(shares[0], LEAST)]
    chain, mass = np.empty(0), np.empty(0)
    for k, n in enumerate(looks):
        step = None
        if k:
            step = _step(chain, looks[k - 1], n)
            levels.append(_level_spending(shares[k] - shares[k - 1], step, mass, n))
        # The chain is symmetric, so a cell of r > 0 stands for −r too. Quantiles are those of the lower tail, which
        # keeps its digits where the upper one is 1.
        z = np.linspace(0.0, min(float(-ndtri(levels[k] / 2)), FARTHEST), CELLS + 1)
        edges, middle = (_correlation(-stdtrit(n - 1, ndtr(-x)), n) for x in (z, (z[1:] + z[:-1]) / 2))
        if step is None:
            mass = -2 * np.diff(ndtr(-z))
        else:
            mass = np.diff([float(mass @ (step(edge) - step(-edge))) for edge in edges])
        chain = middle
    return tuple(levels)


def _correlation(t: Floats, n: int) -> Floats:
    """Return r = t/√(n − 1 + t²) of n differences."""
    r: Floats = t / np.sqrt(n - 1 + t * t)
    return r


def _step(chain: Floats, before: int, after: int) -> Callable[[float], Floats]:
    """Return c → P(r' ≤ c | r) for each r of `chain`, from `before` to `after` differences."""
    from scipy.special import roots_jacobi, stdtr

    m = after - before
    nodes, weights = roots_jacobi(NODES, m / 2 - 1, before / 2 - 1)
    share, weights = (nodes + 1) / 2, weights / weights.sum()
    base = chain[:, None] * np.sqrt(before * share)
    width = np.sqrt(m * (1 - share))
    angles = np.linspace(-math.pi / 2, math.pi / 2, STEPS)
    # At the ends the tangent is huge, not infinite, which is near enough.
    below = stdtr(m - 1, math.sqrt(m - 1) * np.tan(angles))

    def probability(c: float) -> Floats:
        w = np.clip((c * math.sqrt(after) - base) / width, -1, 1)
        found: Floats = np.interp(np.arcsin(w), angles, below) @ weights
        return found

    return probability


def _level_spending(increment: float, step: Callable[[float], Floats], mass: Floats, n: int) -> float:
    """Return the level at which the chance of crossing now, and not before, is `increment`: bisection of its log."""
    from scipy.special import stdtrit

    low, high = math.log(LEAST), 0.0
    for _ in range(50):
        middle = (low + high) / 2
        c = float(_correlation(np.array(-stdtrit(n - 1, math.exp(middle) / 2)), n))
        crossed = float(mass @ (1 - step(c) + step(-c)))
        low, high = (low, middle) if crossed > increment else (middle, high)
    return math.exp(low)


def holm_levels_at(
    p_values: Sequence[float | None], alpha: float, level_of: Callable[[float], float]
) -> list[tuple[float, float]]:
    """Return for each claim (its share of the error, the level that its p must stay below) at the look that was last.

    Holm's procedure in which claim r by p is tested at `level_of`(α/(m−r+1)) instead of α/(m−r+1) itself. Every claim
    then has its own spending function, so none can exceed its share whichever claim it was that stopped the looks, and
    the closed test behind Holm's keeps the error of the family. Source: Ye, Li, Liu & Yao (2013), Statistics in
    Medicine 32:1112; the levels must not fall when the share rises, as Maurer & Bretz (2013), Stat. Biopharm. Res.
    5:311 demand.

    Args:
        p_values: None counts towards m and comes last, as in `multiplicity.holm_levels`.
        alpha: error of the family.
        level_of: share of the error → level at this look.
    """
    m = len(p_values)
    order = sorted(range(m), key=lambda i: 1.0 if p_values[i] is None else float(p_values[i] or 0.0))
    found, failing = [(alpha, level_of(alpha))] * m, 0.0
    for rank, i in enumerate(order):
        share = failing or alpha / (m - rank)
        found[i] = (share, level_of(share))
        p = p_values[i]
        if not failing and not (p is not None and p < found[i][1]):
            failing = share
    return found


def chance_of_decision(
    effect: float,
    error: float,
    n: int,
    last: int,
    level: float,
    margin: float | None = None,
    equivalence: float = 0.10,
) -> float:
    """Return the chance that the last look decides, given what was seen: its interval without 0, or inside ±margin.

    Under a flat prior the final mean is normal around the present one with variance s²(1/n − 1/N), s = error·√n taken
    as known: predictive power, Spiegelhalter, Freedman & Blackburn (1986), Controlled Clinical Trials 7:8. Conditional
    power at the trend would be surer of itself than six seeds allow.

    Args:
        effect: mean difference so far.
        error: its standard error s/√n; 0 gives a chance of 0 or 1.
        n: differences so far.
        last: differences at the last look, N.
        level: two-sided level of the last look.
        margin: largest |mean| that is equivalent; None: equivalence is not asked.
        equivalence: two-sided level of the equivalence interval at the last look.
    """
    found = _chances(np.array([effect]), np.array([error]), n, last, level, margin, equivalence)
    return float(found[0])


def _chances(
    effect: Floats, error: Floats, n: int, last: int, level: float, margin: float | None, equivalence: float
) -> Floats:
    from scipy.special import ndtr

    s = error * math.sqrt(n)
    outside = _quantile(last, level) * s / math.sqrt(last)
    inside = np.full(len(s), -1.0) if margin is None else margin - _quantile(last, equivalence) * s / math.sqrt(last)
    spread = s * math.sqrt(max(0.0, 1 / n - 1 / last))
    certain = (inside >= outside) | (spread == 0)
    wide = np.where(certain, 1.0, spread)
    away = ndtr((effect - outside) / wide) + ndtr((-effect - outside) / wide)
    near = ndtr((inside - effect) / wide) - ndtr((-inside - effect) / wide)
    known = (inside >= outside) | (np.abs(effect) > outside) | (np.abs(effect) <= inside)
    found: Floats = np.where(certain, known.astype(float), away + np.where(inside > 0, near, 0.0))
    return found


@cache
def _quantile(n: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(-stdtrit(n - 1, level / 2))


@dataclass(frozen=True)
class Outcomes:
    """What a design makes of many experiments, one entry each.

    Attributes:
        different: the interval excluded 0 at some look.
        equivalent: it lay inside the margin at some look.
        seeds: differences used.
        fixed: the fixed t test on all differences excludes 0.
    """

    different: NDArray[np.bool_]
    equivalent: NDArray[np.bool_]
    seeds: NDArray[np.int64]
    fixed: NDArray[np.bool_]


def outcomes(
    design: Design, differences: Floats, alpha: float = 0.05, margin: float | None = None, equivalence: float = 0.10
) -> Outcomes:
    """Apply a design to many experiments.

    Args:
        design: looks up to N.
        differences: (experiments, N), in the order in which seeds would be run.
        alpha: two-sided error over all looks.
        margin: as in `chance_of_decision`.
        equivalence: two-sided error of the equivalence interval over all looks.
    """
    last = design.looks[-1]
    sums, squares = differences.cumsum(axis=1), (differences**2).cumsum(axis=1)
    running = np.ones(len(differences), dtype=bool)
    different, equivalent = ~running, ~running
    seeds = np.full(len(differences), last)
    final = design.level(len(design.looks) - 1, alpha), design.level(len(design.looks) - 1, equivalence)
    for k, n in enumerate(design.looks):
        mean, error = _mean_and_error(sums[:, n - 1], squares[:, n - 1], n)
        inside = np.zeros(len(mean), dtype=bool)
        if margin is not None:
            inside = running & (np.abs(mean) + _quantile(n, design.level(k, equivalence)) * error <= margin)
        outside = running & ~inside & (np.abs(mean) > _quantile(n, design.level(k, alpha)) * error)
        different, equivalent = different | outside, equivalent | inside
        stopped = inside | outside
        if n < last:
            hope = _chances(mean, error, n, last, final[0], margin, final[1])
            stopped |= running & (hope < design.futility)
        seeds[stopped] = n
        running &= ~stopped
    mean, error = _mean_and_error(sums[:, -1], squares[:, -1], last)
    fixed = np.abs(mean) > _quantile(last, alpha) * error
    return Outcomes(different, equivalent, seeds, fixed)


def _mean_and_error(sums: Floats, squares: Floats, n: int) -> tuple[Floats, Floats]:
    mean = sums / n
    return mean, np.sqrt(np.maximum(squares - n * mean**2, 0.0) / (n - 1) / n)


@cache
def expected_seeds(design: Design, effect: float, alpha: float = 0.05, draws: int = 4000) -> float:
    """Return the mean number of seeds at a true effect in SDs of the paired difference: `draws` seeded experiments."""
    x = np.random.default_rng(0).standard_normal((draws, design.looks[-1]))
    return float(outcomes(design, x + effect, alpha).seeds.mean())
