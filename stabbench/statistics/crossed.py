"""Seeds crossed with texts: what holds for new seeds and new texts, when every seed was tried on the same texts.

A model trained with seed i gives on text j the value xᵢⱼ = μ + seedᵢ + textⱼ + restᵢⱼ. The mean over the table errs by
σ²_seed/n + σ²_text/N + σ²_rest/(nN): more texts do not make up for few seeds, nor more seeds for few texts. An interval
over seeds alone leaves out the second term and is about these texts only; one that takes the nN values as independent
leaves out both.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stabbench.statistics.anova import MeanSquares, mean_squares
from stabbench.statistics.result import Estimate

NAME = "two-way t over seeds and texts"
FEWEST_TEXTS = 2
"""Fewest texts' worth of hits, and of misses, from which on a rate's logit interval is used."""


def crossed_mean(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the mean μ̂ of a table of seeds × texts with μ̂ ± t₍(1+level)/2; ν₎·√V, for new seeds and new texts.

    With the mean squares A (seeds), B (texts) and E (rest) of `anova`: nN·V = A + max(B − E, 0), which estimates
    σ²_rest + N·σ²_seed + n·σ²_text and is never below the seeds' own A; and Satterthwaite's degrees of freedom
    ν = (nN·V)² / [A²/(n−1) + (B² + E²/(n−1))/(N−1)], the second term where B > E only, and ν ≥ min(n, N) − 1. p is that
    of μ = 0. Sources: Searle, Casella & McCulloch (1992), Variance Components, ch. 4; Satterthwaite (1946), Biometrics
    2:110. Its coverage stands in reports/statistics.

    No interval with one seed or one text, or where neither seeds nor texts differ: they say nothing about others.

    Args:
        values: (n, N): a score of each seed on each text; or, for two arms with paired seeds, its difference.
        level: coverage of the interval, in (0, 1).
    """
    x = np.asarray(values, dtype=float)
    value, reason = _grand_mean(x)
    n = len(x)
    squares = None if reason else mean_squares(x)
    if squares is None:
        return Estimate(value, None, None, level, n, NAME, reason=reason)
    error, freedom = _standard_error(squares, *x.shape)
    if error == 0.0:
        return Estimate(value, None, None, level, n, NAME, reason=_alike(x))
    from scipy.special import stdtr, stdtrit

    assert value is not None
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error * squares.scale
    p = min(1.0, 2 * float(stdtr(freedom, -abs(value / squares.scale) / error)))
    return Estimate(value, value - half, value + half, level, n, NAME, p)


def crossed_difference(reference: ArrayLike, candidate: ArrayLike, level: float = 0.95) -> Estimate:
    """Return `crossed_mean` of candidate − reference: the mean difference for new seeds and new texts.

    Args:
        reference: (n, N) scores; row i of both arms is the same seed, column j the same text.
        candidate: (n, N) scores.
        level: coverage of the interval, in (0, 1).
    """
    first, second = np.asarray(reference, dtype=float), np.asarray(candidate, dtype=float)
    if first.shape != second.shape:
        return Estimate(None, None, None, level, min(len(first), len(second)), NAME, reason=_unequal(first, second))
    # An infinity on both sides has no difference; numpy would warn.
    finite = np.isfinite(first) & np.isfinite(second)
    return crossed_mean(np.where(finite, second, math.nan) - np.where(finite, first, 0.0), level)


def crossed_rate(hits: ArrayLike, tried: ArrayLike | None = None, level: float = 0.95) -> Estimate:
    """Return the rate R = Σhits/Σtried over a table of seeds × texts, with an interval for new seeds and new texts.

    For attack success, accuracy under attack or noise, flips. Cells that were not tried (an attack skips what the model
    already gets wrong) make it a ratio, so V is that of `crossed_mean` for the linearised residuals (hᵢⱼ − R·mᵢⱼ)/m̄,
    which are 0 where nothing was tried. The interval is logit R ± t·√V/(R(1−R)), transformed back: it stays in (0, 1)
    and is as skewed as a rate is. Where fewer than `FEWEST_TEXTS` texts' worth of answers are hits, or are none
    (N·min(R, 1−R)), V misses the texts that were not met; there it is Clopper-Pearson's with the effective number of
    answers R(1−R)/V, at most N, times (z/t)². Sources: Woodruff (1971), JASA 66:411, for the linearisation; Korn &
    Graubard (1998), Survey Methodology 24:193, for the effective number.

    No rate where nothing was tried; no interval with one seed or one text, or where all answers are alike.

    Args:
        hits: (n, N) whether (or, with several trials per cell, how often) it happened.
        tried: (n, N) whether (how often) it was tried; default once in each cell.
        level: coverage of the interval, in (0, 1).
    """
    h = np.asarray(hits, dtype=float)
    m = np.ones_like(h) if tried is None else np.asarray(tried, dtype=float)
    n, name = len(h), f"{NAME}, logit"
    if h.shape != m.shape:
        return Estimate(None, None, None, level, n, name, reason=_unequal(h, m))
    mean, reason = _grand_mean(np.where(np.isfinite(m), h, math.nan))
    if mean is None:
        return Estimate(None, None, None, level, n, name, reason=reason)
    if not m.any() or (h > m).any() or (h < 0).any():
        why = "more hits than tries, or fewer than none" if m.any() else "nothing was tried"
        return Estimate(None, None, None, level, n, name, reason=why)
    rate = float(h.sum() / m.sum())
    squares = None if reason else mean_squares((h - rate * m) / float(m.mean()))
    if squares is None:
        return Estimate(rate, None, None, level, n, name, reason=reason)
    error, freedom = _standard_error(squares, *h.shape)
    if error == 0.0 or not 0 < rate < 1:
        return Estimate(rate, None, None, level, n, name, reason=_alike(h))
    from scipy.special import betaincinv, expit, logit, ndtri, stdtrit

    quantile = float(stdtrit(freedom, 0.5 + level / 2))
    texts = h.shape[1]
    if texts * min(rate, 1 - rate) < FEWEST_TEXTS:
        worth = min(rate * (1 - rate) / (error * squares.scale) ** 2, texts)
        worth *= (float(ndtri(0.5 + level / 2)) / quantile) ** 2
        k, tail = rate * worth, (1 - level) / 2
        low, high = float(betaincinv(k, worth - k + 1, tail)), float(betaincinv(k + 1, worth - k, 1 - tail))
        return Estimate(rate, low, high, level, n, f"{NAME}, Korn-Graubard")
    half = quantile * error * squares.scale / (rate * (1 - rate))
    return Estimate(rate, float(expit(logit(rate) - half)), float(expit(logit(rate) + half)), level, n, name)


def crossed_rate_difference(
    reference: tuple[ArrayLike, ArrayLike], candidate: tuple[ArrayLike, ArrayLike], level: float = 0.95
) -> Estimate:
    """Return R′ − R, the difference of two rates Σhits/Σtried, for new seeds and new texts.

    V is that of `crossed_mean` for the differences of the linearised residuals, (h′ᵢⱼ − R′·m′ᵢⱼ)/m̄′ − (hᵢⱼ − R·mᵢⱼ)/m̄,
    which are 0 where neither was tried; the interval is R′ − R ± t·√V. Where all cells were tried it is
    `crossed_difference`. Source for the linearisation: Woodruff (1971), JASA 66:411.

    Args:
        reference: hits and tries of one arm, (n, N) each; row i of both arms is the same seed, column j the same text.
        candidate: hits and tries of the other.
        level: coverage of the interval, in (0, 1).
    """
    residuals, rates = [], []
    for hits, tried in (reference, candidate):
        h, m = np.asarray(hits, dtype=float), np.asarray(tried, dtype=float)
        rate = crossed_rate(h, m, level)
        if rate.value is None:
            return Estimate(None, None, None, level, len(h), NAME, reason=rate.reason)
        rates.append(rate.value)
        residuals.append((h - rate.value * m) / float(m.mean()))
    if residuals[0].shape != residuals[1].shape:
        return Estimate(None, None, None, level, len(residuals[0]), NAME, reason=_unequal(*residuals))
    around = crossed_mean(residuals[1] - residuals[0] + (rates[1] - rates[0]), level)
    value = rates[1] - rates[0]
    return replace(around, value=value)


def _standard_error(squares: MeanSquares, n: int, texts: int) -> tuple[float, float]:
    """Return √V in units of the scale, and the degrees of freedom."""
    total, doubt = squares.rows, squares.rows**2 / (n - 1)
    if squares.columns > squares.residual:
        total += squares.columns - squares.residual
        doubt += (squares.columns**2 + squares.residual**2 / (n - 1)) / (texts - 1)
    if doubt == 0.0:
        return 0.0, 0.0
    return math.sqrt(total / (n * texts)), max(total**2 / doubt, min(n, texts) - 1)


def _grand_mean(x: NDArray[np.float64]) -> tuple[float | None, str]:
    """Return the mean and why nothing more than it can be said (empty where more can)."""
    if x.ndim != 2 or x.size == 0:
        return None, "no seed or no text" if x.ndim == 2 else f"a table of seeds × texts is needed, not shape {x.shape}"
    lost = int(np.sum(~np.isfinite(x)))
    if lost:
        return None, f"{lost} of {x.size} values not finite, so no mean exists"
    scale = float(np.abs(x).max()) or 1.0
    value = math.fsum((x / scale).ravel()) / x.size * scale
    if len(x) == 1:
        return value, "one seed says nothing about other seeds"
    return value, "one text says nothing about other texts" if x.shape[1] == 1 else ""


def _alike(x: NDArray[np.float64]) -> str:
    what = "all values are alike" if x.min() == x.max() else "no seed's mean and no text's mean stands out"
    return f"{what} ({len(x)} seeds, {x.shape[1]} texts): nothing shows how new ones would differ"


def _unequal(first: NDArray[np.float64], second: NDArray[np.float64]) -> str:
    return f"tables of different shapes, {first.shape} and {second.shape}: seeds and texts must be the same"
