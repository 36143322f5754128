"""Before the run: what can this many seeds show? Only `scipy.special`, so that planning stays fast."""

from __future__ import annotations

import math
from typing import Literal

Kind = Literal["level", "robustness", "failure", "spread"]


def paired_t_power(effect: float, n: int, alpha: float = 0.05) -> float:
    """Return the power of the two-sided paired t test: P(|T'| > t₍1−α/2; n−1₎), T' noncentral t with δ = effect·√n.

    Source: Cohen (1988), Statistical Power Analysis, ch. 2.

    Args:
        effect: mean difference in standard deviations of the differences.
        n: pairs, at least 2.
        alpha: level of the test.
    """
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(n - 1, 1 - alpha / 2))
    shift = abs(effect) * math.sqrt(n)
    # The lower tail is below α/2 and falls with the effect; far out nctdtr is not defined for it.
    lower = float(nctdtr(n - 1, shift, -critical)) if shift < 5 else 0.0
    return 1 - float(nctdtr(n - 1, shift, critical)) + (lower if math.isfinite(lower) else 0.0)


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
    return float(min(1.0, 2.0 / 2**n))


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
