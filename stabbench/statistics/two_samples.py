"""Two independent samples: how far apart are their means, when nothing pairs a unit of one with a unit of the other?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabbench.statistics.paired import ROUNDING
from stabbench.statistics.result import Estimate


def welch_t(candidate: Sequence[float], reference: Sequence[float], level: float = 0.95) -> Estimate:
    """Return the difference of means, candidate − reference, with Welch's interval and p.

    d ± t₍(1+level)/2; ν₎ · √(s₁²/n₁ + s₂²/n₂), ν by Satterthwaite; variances may differ. Source: Welch (1947),
    Biometrika 34:28.

    Defined answers: no value where a sample is empty or a value is not finite; the value without an interval where a
    sample has one unit, or where neither sample varies.

    Args:
        candidate: one number per unit.
        reference: one number per unit.
        level: coverage of the interval, in (0, 1).
    """
    sizes, name = (len(candidate), len(reference)), "Welch's t"
    n = sum(sizes)
    if 0 in sizes:
        return Estimate(None, None, None, level, n, name, reason="a sample is empty")
    lost = sum(not math.isfinite(value) for value in (*candidate, *reference))
    if lost:
        return Estimate(None, None, None, level, n, name, reason=f"{lost} of {n} values not finite, so no mean exists")
    # In units of about the largest value, so that no square overflows or vanishes; a power of two, so that none rounds.
    scale = math.ldexp(1.0, math.frexp(max(abs(x) for x in (*candidate, *reference)))[1] - 1)
    samples = [[x / scale for x in sample] for sample in (candidate, reference)]
    means = [math.fsum(sample) / len(sample) for sample in samples]
    value = (means[0] - means[1]) * scale
    if not math.isfinite(value):
        return Estimate(None, None, None, level, n, name, reason="the difference is beyond the largest number")
    if min(sizes) < 2:
        return Estimate(value, None, None, level, n, name, reason="one unit has no spread, so there is no interval")
    errors = [
        math.fsum((x - mean) ** 2 for x in sample) / (len(sample) - 1) / len(sample)
        for sample, mean in zip(samples, means, strict=True)
    ]
    error = math.sqrt(math.fsum(errors))
    if error <= ROUNDING:
        return Estimate(value, None, None, level, n, name, reason="neither sample varies, so there is no interval")
    from scipy.special import stdtr, stdtrit

    freedom = error**4 / math.fsum(e**2 / (size - 1) for e, size in zip(errors, sizes, strict=True))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error * scale
    if not math.isfinite(half):
        return Estimate(value, None, None, level, n, name, reason="the interval is beyond the largest number")
    p = 2 * float(stdtr(freedom, -abs(means[0] - means[1]) / error))
    return Estimate(value, value - half, value + half, level, n, name, p=min(p, 1.0))
