"""Failed runs: do two arms fail equally often?"""

from __future__ import annotations

import math
from functools import cache

from stabbench.statistics.proportions import wilson
from stabbench.statistics.result import Estimate, Significance


@cache
def boschloo(reference: tuple[int, int], candidate: tuple[int, int]) -> Significance:
    """Return Boschloo's exact unconditional two-sided p for k₁/n₁ against k₂/n₂: twice the smaller one-sided p.

    The one-sided p is supπ P(Fisher's p ≤ the observed one | π), with π the common rate: uniformly more powerful than
    Fisher's exact test. 5/5 against 0/5 gives .002. Source: Boschloo (1970), Statistica Neerlandica 24:1.

    Args:
        reference: (failed, runs) of the reference.
        candidate: (failed, runs) of the candidate.
    """
    (k1, n1), (k2, n2) = reference, candidate
    if n1 == 0 or n2 == 0:
        return Significance(None, n1 + n2, "Boschloo", reason="an arm has no run")
    if k1 + k2 in (0, n1 + n2):
        return Significance(1.0, n1 + n2, "Boschloo")
    from scipy.stats import boschloo_exact

    found = boschloo_exact([[k1, k2], [n1 - k1, n2 - k2]], alternative="two-sided")
    return Significance(min(1.0, float(found.pvalue)), n1 + n2, "Boschloo")


def mcnemar(only_reference: int, only_candidate: int) -> Significance:
    """Return the exact two-sided binomial p of b against c discordant pairs: min(1, 2·P(X ≤ min(b, c))), X ~ B(b+c, ½).

    Pairs in which both or neither failed say nothing. Below six pairs that all turn one way it cannot reach 5 %.
    Source: McNemar (1947), Psychometrika 12:153, exact form.

    Args:
        only_reference: pairs in which only the reference's run failed (for texts: only the reference is wrong).
        only_candidate: pairs in which only the candidate's run failed.
    """
    n = only_reference + only_candidate
    # Whole numbers throughout: 2ⁿ is beyond a float from n = 1024 on, and texts come by the thousand.
    term = tail = 1
    for k in range(min(only_reference, only_candidate)):
        term = term * (n - k) // (k + 1)
        tail += term
    return Significance(min(1.0, 2 * tail / 2**n), n, "exact McNemar", floor=min(1.0, 2 / 2**n))


def newcombe(reference: tuple[int, int], candidate: tuple[int, int], level: float = 0.95) -> Estimate:
    """Return k₂/n₂ − k₁/n₁ with Newcombe's hybrid score interval.

    With Wilson limits (lᵢ, uᵢ) around p̂ᵢ: [d − √((p̂₂−l₂)² + (u₁−p̂₁)²), d + √((u₂−p̂₂)² + (p̂₁−l₁)²)]. Source:
    Newcombe (1998), Statistics in Medicine 17:873, method 10.

    It covers 95 % on average over rates, less at some pairs of extreme rates; method 11, corrected for continuity,
    covers nearly everywhere, but is up to half as wide again as need be and would cost 20 points of power at 10 runs,
    50 % against 0 % failed (reports/statistics). Boschloo's test beside it holds the level.

    Args:
        reference: (failed, runs) of the reference.
        candidate: (failed, runs) of the candidate.
        level: coverage, in (0, 1).
    """
    n = reference[1] + candidate[1]
    if reference[1] == 0 or candidate[1] == 0:
        return Estimate(None, None, None, level, n, "Newcombe", reason="an arm has no run")
    first, second = wilson(*reference, level), wilson(*candidate, level)
    assert first.value is not None
    assert first.low is not None
    assert first.high is not None
    assert second.value is not None
    assert second.low is not None
    assert second.high is not None
    d = second.value - first.value
    low = d - math.hypot(second.value - second.low, first.high - first.value)
    high = d + math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(d, max(-1.0, low), min(1.0, high), level, n, "Newcombe")
