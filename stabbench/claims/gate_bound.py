"""The test behind every gate rule: does a one-sided 95 % bound respect a limit?

A rule asks that a quantity is at least (or at most) a limit. It passes where the one-sided 95 % confidence bound on the
bad side respects the limit (for "not worse by m" that is the non-inferiority test), it fails where the one-sided bound
on the good side does not reach the limit (worse is shown), and between the two it is undecided: no difference found is
never a pass. The bounds are the ends of the two-sided 90 % interval of the claim's own method (paired t, Newcombe,
Bonett, Clopper-Pearson), so that a rule and its claim never speak of different estimates. Source of the reading of the
ends: Piaggio et al. (2012), JAMA 308:2594 (non-inferiority by confidence interval).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from stabbench.claims.evidence import Interval

ALPHA = 0.05
Side = Literal["lower", "upper"]
"""``lower``: the quantity must not lie below the limit; ``upper``: not above."""
SMALLEST = 1e-12


@dataclass(frozen=True)
class Judgement:
    """How a bound stands to its limit.

    Attributes:
        outcome: pass, fail or undecided.
        safe: one-sided 95 % bound on the side that must respect the limit.
        other: one-sided 95 % bound on the other side.
        p: one-sided p-value of "the limit is violated": the smallest level at which the rule passes; None where the
            interval is a single point.
    """

    outcome: Literal["pass", "fail", "undecided"]
    safe: float
    other: float
    p: float | None


def judge(interval: Interval, side: Side, limit: float) -> Judgement | None:
    """Return how a quantity with this interval stands to `limit`, or None where it has no interval.

    Args:
        interval: level → two-sided interval, nested in the level.
        side: which side of the limit is the bad one.
        limit: on the scale of the interval; a bound that equals it respects it.
    """
    found = interval(1 - 2 * ALPHA)
    if found is None or any(math.isnan(end) for end in found):
        return None
    if side == "upper":
        mirrored = judge(_mirror(interval), "lower", -limit)
        assert mirrored is not None
        return Judgement(mirrored.outcome, -mirrored.safe, -mirrored.other, mirrored.p)
    low, high = found
    outcome: Literal["pass", "fail", "undecided"] = "pass" if low >= limit else "fail" if high < limit else "undecided"
    return Judgement(outcome, low, high, None if low == high else _p_value(interval, limit))


def _mirror(interval: Interval) -> Interval:
    def mirrored(level: float) -> tuple[float, float] | None:
        found = interval(level)
        return None if found is None else (-found[1], -found[0])

    return mirrored


def _p_value(interval: Interval, limit: float) -> float:
    """Invert the interval: the smallest one-sided level α whose lower bound reaches `limit`, by bisection.

    The lower bound at α is the lower end at level 1 − 2α below ½, and the upper end at level 2α − 1 above (for an exact
    interval of counts, whose two ends do not meet at level 0, a p above ½ is only that: above ½).
    """

    def bound(alpha: float) -> float:
        ends = interval(abs(1 - 2 * alpha))
        assert ends is not None
        return ends[0] if alpha < 0.5 else ends[1]

    low, high = SMALLEST, 1 - SMALLEST
    if bound(low) >= limit:
        return 0.0
    if bound(high) < limit:
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if bound(middle) >= limit else (middle, high)
    return high
