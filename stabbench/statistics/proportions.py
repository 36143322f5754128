"""Intervals of one share k/n."""

from __future__ import annotations

import math

from stabbench.statistics.result import Estimate


def wilson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Return k/n with the score interval (p̂ + z²/2n ± z·√(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n).

    Source: Wilson (1927), JASA 22:209. No value at n = 0.
    """
    if n == 0:
        return Estimate(None, None, None, level, 0, "Wilson", reason="no trial")
    from scipy.special import ndtri

    z2 = float(ndtri(0.5 + level / 2)) ** 2
    share = successes / n
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # At 0 and n the score interval touches the boundary; rounding must not leave it a hair inside.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Estimate(share, low, high, level, n, "Wilson")


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Estimate:
    """Return k/n with the exact interval [B(α/2; k, n−k+1), B(1−α/2; k+1, n−k)], B the beta quantile.

    It covers at least `level` for every true share. Source: Clopper & Pearson (1934), Biometrika 26:404. No value at
    n = 0.
    """
    if n == 0:
        return Estimate(None, None, None, level, 0, "Clopper-Pearson", reason="no trial")
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, n - successes + 1, tail))
    high = 1.0 if successes == n else float(betaincinv(successes + 1, n - successes, 1 - tail))
    return Estimate(successes / n, low, high, level, n, "Clopper-Pearson")
