"""Before the run: what can this many seeds show? Only `scipy.special`, so that planning stays fast."""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal["level", "robustness", "failure", "spread"]


def paired_t_power(effect: float, n: int, alpha: float = 0.05) -> float:
    """Return the power of the two-sided paired t test: P(|T'| > t₍1−α/2; n−1₎), T' noncentral t with δ = effect·√n.

    Source: Cohen (1988), Statistical Power Analysis, ch. 2.

    Args:
        effect: mean difference in standard deviations of the differences; NaN gives NaN, infinity 1.
        n: pairs; below 2 the test does not exist and its power is 0.
        alpha: level of the test.
    """
    return _t_power(abs(effect) * math.sqrt(max(n, 0)), n - 1, alpha)


def unpaired_t_power(effect: float, n: int, alpha: float = 0.05) -> float:
    """Return the power of the two-sided t test of two independent arms of n runs: δ = effect·√(n/2), 2n−2 d.f.

    Source: Cohen (1988), Statistical Power Analysis, ch. 2.

    Args:
        effect: mean difference in standard deviations of one run's value; NaN gives NaN, infinity 1.
        n: runs per arm; below 2 the power is 0.
        alpha: level of the test.
    """
    return _t_power(abs(effect) * math.sqrt(max(n, 0) / 2), 2 * n - 2, alpha)


def _t_power(shift: float, freedom: int, alpha: float) -> float:
    """Return P(|T'| > t₍1−α/2; freedom₎) for noncentral t with noncentrality `shift` ≥ 0."""
    if math.isnan(shift):
        return math.nan
    if freedom < 1:
        return 0.0
    if math.isinf(shift):
        return 1.0
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(freedom, 1 - alpha / 2))
    # The lower tail is below α/2 and falls with the effect; far out nctdtr is not defined for it.
    lower = float(nctdtr(freedom, shift, -critical)) if shift < 5 else 0.0
    upper = 1 - float(nctdtr(freedom, shift, critical))
    # So far out that nctdtr gives up there is nothing left to miss.
    return (upper if math.isfinite(upper) else 1.0) + (lower if math.isfinite(lower) else 0.0)


def needed_seeds(
    effect: float, *, paired: bool = True, power: float = 0.80, alpha: float = 0.05, most: int = 1_000_000
) -> int | None:
    """Return the fewest seeds per arm with which the t test sees `effect` with `power`; None where `most` do not do.

    Args:
        effect: mean difference in standard deviations: of the seed differences if `paired`, else of one run's value.
            With correlation ρ between the arms of a pair the former is the latter divided by √(2(1−ρ)).
        paired: whether the arms share their seeds.
        power: chance of seeing it, in (alpha, 1).
        alpha: level of the test; 0.05/m where the claim is the first of m under Holm.
        most: largest number tried.
    """
    test = paired_t_power if paired else unpaired_t_power
    if math.isnan(effect):
        return None
    low, high = 1, 2
    while test(effect, high, alpha) < power:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if test(effect, middle, alpha) >= power else (middle, high)
    return high


def detectable_effect(n_seeds: int, *, power: float = 0.80, alpha: float = 0.05, sd: float = 1.0) -> float | None:
    """Return the smallest mean difference that the paired t test sees with `power`.

    Args:
        n_seeds: pairs; below 2 no effect of any size can be seen: None.
        power: chance of seeing it, in (alpha, 1).
        alpha: level of the test; 0.05/m where the claim is the first of m under Holm.
        sd: standard deviation of the differences: 1 gives the answer in SDs, a metric's own SD gives the metric's unit.
    """
    if n_seeds < 2:
        return None
    low, high = 0.0, 1.0
    while paired_t_power(high, n_seeds, alpha) < power:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if paired_t_power(middle, n_seeds, alpha) >= power else (middle, high)
    return float(high * sd)


def sign_flip_floor(n: int) -> float:
    """Return 2/2ⁿ, the smallest p of the exact sign-flip test with n pairs (at most 1)."""
    return float(min(1.0, 2 / 2**n))


def boschloo_floor(n: int) -> float:
    """Return 2·(1/4)ⁿ, the smallest two-sided p of Boschloo's test: all n runs of one arm fail and none of the other.

    That table has probability πⁿ(1−π)ⁿ under the null, largest at π = ½.
    """
    return min(1.0, 2.0 * 0.25**n)


def reachable_verdicts(kind: Kind, n_seeds: int, alpha: float = 0.05) -> tuple[str, ...]:
    """Return the verdicts that a complete claim of this kind can end in with `n_seeds` seeds per arm.

    ``level``: from 2 pairs on. ``robustness``: from 3 pairs on. ``failure``: once `boschloo_floor` is below alpha.
    ``spread``: from 5 seeds on. ``equivalent`` is listed with them, though few seeds rarely reach it.
    """
    from stabbench.statistics.spread import FEWEST

    enough = {
        "level": n_seeds >= 2,
        "robustness": n_seeds >= 3,
        "failure": boschloo_floor(n_seeds) < alpha,
        "spread": n_seeds >= FEWEST,
    }
    if enough[kind]:
        return ("improved", "regressed", "equivalent", "inconclusive")
    return ("not comparable",) if kind == "robustness" and n_seeds == 2 else ("inconclusive",)
