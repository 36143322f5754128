"""Spread: do two arms vary equally from seed to seed? Never Levene on means, never F.

With failed runs in both arms Levene on means rejects a true null in 20-28 % of cases and F in 10-40 %
(research/stability.md §3); Brown-Forsythe and the permutation of absolute deviations hold their level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from stabbench.statistics.result import Estimate, Significance

FEWEST = 5
"""Fewest seeds per arm at which a claim about spread can be decided (DESIGN §7)."""
EXACT_SPLITS = 20_000
DRAWS = 20_000
ROUNDING = 1e-9


def log_sd_ratio(reference: Sequence[float], candidate: Sequence[float], level: float = 0.95) -> Estimate:
    """Return ln(s₂/s₁) with Bonett's kurtosis-adjusted interval; exp of it is the ratio of standard deviations.

    Half of ln(c·s₂²/s₁²) ± z·√Σⱼ(γ̂ − kⱼ)/(nⱼ−1), with kⱼ = (nⱼ−3)/nⱼ, c = [n₂/(n₂−z)]/[n₁/(n₁−z)], pooled kurtosis
    γ̂ = (n₁+n₂)·ΣΣ(xᵢⱼ−mⱼ)⁴/(ΣΣ(xᵢⱼ−x̄ⱼ)²)² around means mⱼ trimmed by 1/(2√(nⱼ−4)). γ̂ lets heavy tails widen it, where
    the F interval is too short. Source: Bonett (2006), Comput. Stat. Data Anal. 50:775. It takes the arms as
    independent; pairs that correlate make it conservative.

    No interval below n = 5 (the trim needs n > 4) or where an arm does not vary.
    """
    arms = [np.asarray(arm, dtype=float) for arm in (reference, candidate)]
    n, name = min(len(arm) for arm in arms), "Bonett's interval of the log SD ratio"
    reason = _undefined(arms)
    if reason:
        return Estimate(None, None, None, level, n, name, reason=reason)
    first, second = _scaled(arms)
    value = math.log(float(np.std(second, ddof=1)) / float(np.std(first, ddof=1)))
    if n < FEWEST:
        return Estimate(value, None, None, level, n, name, reason=f"{n} seeds; the interval needs {FEWEST}")
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    n1, n2 = len(first), len(second)
    kurtosis = _pooled_kurtosis(first, second)
    error = math.sqrt(sum(max(kurtosis - (k - 3) / k, 0.0) / (k - 1) for k in (n1, n2)))
    centre = 2 * value + math.log((n2 / (n2 - z)) / (n1 / (n1 - z)))
    return Estimate(value, (centre - z * error) / 2, (centre + z * error) / 2, level, n, name)


def brown_forsythe(reference: Sequence[float], candidate: Sequence[float]) -> Significance:
    """Return P(F₍1,N−2₎ > F) of the one-way analysis of variance of |xᵢⱼ − medianⱼ|.

    Source: Brown & Forsythe (1974), JASA 69:364.
    """
    arms = [np.asarray(arm, dtype=float) for arm in (reference, candidate)]
    n, name = min(len(arm) for arm in arms), "Brown-Forsythe"
    if n < 2 or not all(np.isfinite(arm).all() for arm in arms):
        return Significance(None, n, name, reason=_undefined(arms))
    deviations = [np.abs(arm - np.median(arm)) for arm in _scaled(arms)]
    total = sum(len(z) for z in deviations)
    grand = float(np.mean(np.concatenate(deviations)))
    between = sum(len(z) * (float(z.mean()) - grand) ** 2 for z in deviations)
    inside = sum(float(np.sum((z - z.mean()) ** 2)) for z in deviations)
    if inside <= ROUNDING**2 or total < 3:
        return Significance(None, n, name, reason="the deviations do not vary within the arms")
    from scipy.special import fdtrc

    return Significance(float(fdtrc(1, total - 2, between / (inside / (total - 2)))), n, name)


def spread_permutation(
    reference: Sequence[float], candidate: Sequence[float], rng: np.random.Generator | None = None
) -> Significance:
    """Return the share of splits of the pooled |xᵢⱼ − medianⱼ| whose means differ at least as much as observed.

    All splits where there are at most 20,000 of them, else 20,000 seeded draws with (1 + hits)/(1 + draws). Source:
    Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, §3.7.
    """
    arms = [np.asarray(arm, dtype=float) for arm in (reference, candidate)]
    n, name = min(len(arm) for arm in arms), "permutation of absolute deviations"
    if n < 2 or not all(np.isfinite(arm).all() for arm in arms):
        return Significance(None, n, name, reason=_undefined(arms))
    first, second = (np.abs(arm - np.median(arm)) for arm in _scaled(arms))
    # Sorted: the answer depends neither on the order of the seeds nor on which arm is called candidate.
    pooled = np.sort(np.concatenate([first, second]))
    size, rest = sorted((len(first), len(second)))
    sums = _split_sums(pooled, size, np.random.default_rng(0) if rng is None else rng)
    observed = abs(float(first.mean()) - float(second.mean()))
    gaps = np.abs(sums / size - (math.fsum(pooled) - sums) / rest)
    hits = int(np.sum(gaps >= observed - ROUNDING))
    if math.comb(len(pooled), size) <= EXACT_SPLITS:
        return Significance(hits / len(sums), n, name, floor=1 / len(sums))
    return Significance((1 + hits) / (1 + len(sums)), n, f"{name}, {DRAWS} draws", floor=1 / (1 + DRAWS))


def seeds_to_settle(log_ratio: float | None, alpha: float = 0.05, power: float = 0.80) -> int | None:
    """Return the seeds per arm at which Brown-Forsythe sees this log SD ratio with `power`; None where it is zero.

    For normal data |x − median| has mean σ√(2/π) and variance σ²(1 − 2/π), so with r = exp|log ratio|
    n = 1 + (z₁₋α/₂ + z_power)² · (1 + r²)/(r − 1)² · (π/2 − 1). It gives 24 for r = 2 and 13 for r = 3, where
    simulation has power .83 at 25 and .97 at 20 (research/stability.md §3).
    """
    if log_ratio is None or not math.isfinite(log_ratio) or abs(log_ratio) < 1e-3:
        return None
    from scipy.special import ndtri

    # Beyond a ratio of e^10 the formula is at its limit; exp must not overflow.
    r = math.exp(min(abs(log_ratio), 10.0))
    z = float(ndtri(1 - alpha / 2) + ndtri(power))
    return max(FEWEST, 1 + math.ceil(z**2 * (1 + r**2) / (r - 1) ** 2 * (math.pi / 2 - 1)))


def _pooled_kurtosis(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    fourth = sum(float(np.sum((x - _trimmed_mean(x)) ** 4)) for x in (first, second))
    squares = sum(float(np.sum((x - x.mean()) ** 2)) for x in (first, second))
    return (len(first) + len(second)) * fourth / squares**2


def _trimmed_mean(x: NDArray[np.float64]) -> float:
    """Mean without the share 1/(2√(n−4)) at each end."""
    cut = int(len(x) / (2 * math.sqrt(len(x) - 4)))
    inner = np.sort(x)[cut : len(x) - cut]
    return float(inner.mean()) if len(inner) else float(np.median(x))


def _split_sums(pooled: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    if math.comb(len(pooled), size) <= EXACT_SPLITS:
        chosen = pooled[np.array(list(combinations(range(len(pooled)), size)))]
    else:
        chosen = rng.permuted(np.tile(pooled, (DRAWS, 1)), axis=1)[:, :size]
    sums: NDArray[np.float64] = chosen.sum(axis=1)
    return sums


def _scaled(arms: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Shift and scale both arms alike, so that no square overflows."""
    # Halved first: the difference of two finite numbers may not be finite.
    halves = [arm / 2 for arm in arms]
    pooled = np.concatenate(halves)
    centre = float(pooled[0])
    scale = float(np.abs(pooled - centre).max()) or 1.0
    return [(half - centre) / scale for half in halves]


def _undefined(arms: list[NDArray[np.float64]]) -> str:
    """Say why the arms have no ratio of standard deviations; empty where they have one."""
    for arm in arms:
        if len(arm) < 2:
            return "fewer than two seeds in an arm have no spread"
        lost = int(np.sum(~np.isfinite(arm)))
        if lost:
            return f"{lost} of {len(arm)} values not finite"
    if any(float(np.std(arm)) <= ROUNDING for arm in _scaled(arms)):
        return "an arm does not vary"
    return ""
