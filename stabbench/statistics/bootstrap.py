"""Resampling: seeds and texts together (descriptive), and the texts of one pair of models.

The percentile bootstrap of a mean over few seeds is too short: over 3, 5, 10 seeds its 95 % interval covers about 75,
84, 90 % (reports/statistics), so it is given from `FEWEST_SEEDS` on and decides nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stabbench.statistics.result import Estimate

DRAWS = 2_000
BLOCK = 1 << 21
"""Counts held at a time, 16 MB."""
FEWEST_SEEDS = 20
"""Fewest seeds per arm from which on the percentile interval is given."""
FEWEST_DISCORDANT = 10
"""Fewest texts that only one of two models gets right from which on resampled texts give the interval."""


def multi_bootstrap(
    reference: ArrayLike,
    candidate: ArrayLike,
    level: float = 0.95,
    *,
    paired: bool = True,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Return the mean of candidate − reference with the percentile interval of resampled seeds and resampled texts.

    Each draw takes n seeds and N texts with replacement, so its mean is wᵀ(Y − X)v/(nN) with multinomial counts w of
    seeds and v of texts; unpaired arms have their own w each, and always the same v. Source: Sellam et al. (2022), The
    MultiBERTs, arXiv:2106.16163. Descriptive: it counts what is left beside seeds and texts up to three times, so that
    it is too wide where that dominates; `crossed_difference` is the interval to read where new texts matter.

    Below `FEWEST_SEEDS` seeds the interval would be too short: the value alone, with that reason.

    Args:
        reference: (n₁, N) scores of each seed on each text.
        candidate: (n₂, N) scores on the same texts; with `paired`, row i of both arms is the same seed.
        level: coverage of the interval, in (0, 1).
        paired: whether the arms share their seeds.
        draws: number of draws.
        rng: generator of the draws; default a fixed seed.
    """
    first, second = np.asarray(reference, dtype=float), np.asarray(candidate, dtype=float)
    n, name = min(len(first), len(second)), f"multi-bootstrap, {draws} draws"
    value, reason = _difference(first, second, paired)
    if value is None or reason:
        return Estimate(value, None, None, level, n, name, reason=reason)
    generator = np.random.default_rng(0) if rng is None else rng
    tables = [second - first] if paired else [second, -first]
    means = np.concatenate([_drawn_means(tables, size, generator) for size in _blocks(draws, first.shape[1])])
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, float(low), float(high), level, n, name)


def paired_bootstrap(
    reference: ArrayLike,
    candidate: ArrayLike,
    level: float = 0.95,
    *,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> Estimate:
    """Return the accuracy difference of two models on the same texts, with its interval over new texts.

    Only discordant texts move it: b that the reference alone gets right, c the candidate alone; the difference is
    (c − b)/N. Resampling N texts draws (b*, c*) from the multinomial (N; b/N, c/N), whose percentiles are the interval.
    Below `FEWEST_DISCORDANT` such texts those percentiles are too short, and with none they have no width at all; there
    the interval is that of Bonett & Price (2012), J. Educ. Behav. Stat. 37:479: d̃ ± z·√([q₁ + q₂ − d̃²]/(N+2)) with
    q₁ = (b+1)/(N+2), q₂ = (c+1)/(N+2), d̃ = q₂ − q₁. The p-value beside it is `failures.mcnemar`'s (b, c).

    Args:
        reference: (N,) whether the reference is right on each text.
        candidate: (N,) whether the candidate is right on the same texts.
        level: coverage of the interval, in (0, 1).
        draws: number of draws.
        rng: generator of the draws; default a fixed seed.
    """
    first, second = np.asarray(reference, dtype=bool), np.asarray(candidate, dtype=bool)
    n = min(len(first), len(second))
    if first.shape != second.shape:
        reason = f"{len(first)} and {len(second)} texts: both models must answer the same texts"
        return Estimate(None, None, None, level, n, "paired bootstrap", reason=reason)
    if n == 0:
        return Estimate(None, None, None, level, 0, "paired bootstrap", reason="no text")
    b, c = discordant(first, second)
    if b + c < FEWEST_DISCORDANT:
        low, high = _bonett_price(b, c, n, level)
        return Estimate((c - b) / n, low, high, level, n, "Bonett-Price")
    generator = np.random.default_rng(0) if rng is None else rng
    drawn = generator.multinomial(n, [b / n, c / n, (n - b - c) / n], size=draws)
    low, high = (float(q) for q in np.quantile((drawn[:, 1] - drawn[:, 0]) / n, [(1 - level) / 2, (1 + level) / 2]))
    return Estimate((c - b) / n, low, high, level, n, f"paired bootstrap, {draws} draws")


def discordant(reference: ArrayLike, candidate: ArrayLike) -> tuple[int, int]:
    """Return how many texts only the reference gets right, and how many only the candidate: what McNemar's test takes.

    `failures.mcnemar` counts failures, so it takes them as (only candidate right, only reference right); its p is the
    same either way.

    Args:
        reference: (N,) whether the reference is right on each text.
        candidate: (N,) the same of the candidate.
    """
    first, second = np.asarray(reference, dtype=bool), np.asarray(candidate, dtype=bool)
    return int(np.sum(first & ~second)), int(np.sum(second & ~first))


def _difference(first: NDArray[np.float64], second: NDArray[np.float64], paired: bool) -> tuple[float | None, str]:
    """Return the mean difference and why it has no interval (empty where it has one)."""
    if first.ndim != 2 or second.ndim != 2 or first.size == 0 or second.size == 0:
        return None, "no seed or no text"
    if first.shape[1] != second.shape[1] or (paired and len(first) != len(second)):
        return None, f"tables of different shapes, {first.shape} and {second.shape}"
    lost = int(np.sum(~np.isfinite(first))) + int(np.sum(~np.isfinite(second)))
    if lost:
        return None, f"{lost} of {first.size + second.size} values not finite, so no mean exists"
    value = math.fsum(second.ravel() / second.size) - math.fsum(first.ravel() / first.size)
    n = min(len(first), len(second))
    if n < FEWEST_SEEDS:
        return value, f"{n} seeds: resampling fewer than {FEWEST_SEEDS} gives intervals that are too short"
    return value, "one text says nothing about other texts" if first.shape[1] == 1 else ""


def _blocks(draws: int, texts: int) -> list[int]:
    """Split the draws so that memory stays bounded, whatever the number of texts."""
    size = max(1, BLOCK // texts)
    return [min(size, draws - start) for start in range(0, draws, size)]


def _drawn_means(tables: list[NDArray[np.float64]], draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return Σ over tables of wᵀXv/(nN) for each draw: the same v for all, a w for each."""
    texts = _counts(rng, draws, tables[0].shape[1])
    means = np.zeros(draws)
    for x in tables:
        by_seed = texts @ x.T
        means += np.einsum("dn,dn->d", _counts(rng, draws, len(x)), by_seed) / x.size
    return means


def _counts(rng: np.random.Generator, draws: int, n: int) -> NDArray[np.float64]:
    """Return (draws, n) counts of n items drawn n times with replacement."""
    # One histogram of all draws: ten times faster than a multinomial per draw.
    chosen = rng.integers(0, n, size=(draws, n))
    chosen += n * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * n).reshape(draws, n).astype(float)


def _bonett_price(b: int, c: int, n: int, level: float) -> tuple[float, float]:
    from scipy.special import ndtri

    only_reference, only_candidate = (b + 1) / (n + 2), (c + 1) / (n + 2)
    d = only_candidate - only_reference
    half = float(ndtri(0.5 + level / 2)) * math.sqrt((only_reference + only_candidate - d**2) / (n + 2))
    return max(-1.0, d - half), min(1.0, d + half)
