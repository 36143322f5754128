"""What seeds do to one arm, and descriptive summaries of arms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stabbench.statistics.result import Estimate


def excess_variance(correct: NDArray[np.bool_]) -> Estimate:
    """Return R = Q/(n−1), the variance of accuracy over seeds relative to what a finite test set alone gives.

    Cochran's Q = (n−1)·[n·ΣCⱼ² − (ΣCⱼ)²] / [n·ΣLᵢ − ΣLᵢ²], with Cⱼ right answers of seed j and Lᵢ seeds right on
    example i. If seeds flip examples independently R is 1 and Q follows χ² with n−1 degrees of freedom, which gives p
    (one-sided: more than the floor). Sources: Cochran (1950), Biometrika 37:256; Jordan (2023), arXiv:2304.01910.

    Args:
        correct: (n seeds, N examples) whether each seed's model is right on each example.
    """
    n, name = len(correct), "Cochran's Q/(n−1)"
    if n < 2:
        return Estimate(None, None, None, 0.95, n, name, reason="fewer than two seeds have no variance")
    per_seed = correct.sum(axis=1, dtype=np.int64)
    per_example = correct.sum(axis=0, dtype=np.int64)
    floor = int(n * per_example.sum() - np.sum(per_example**2))
    if floor == 0:
        return Estimate(None, None, None, 0.95, n, name, reason="every example has the same answer from all seeds")
    from scipy.special import chdtrc

    ratio = int(n * np.sum(per_seed**2) - per_seed.sum() ** 2) / floor
    return Estimate(ratio, None, None, 0.95, n, name, p=float(chdtrc(n - 1, ratio * (n - 1))))


def disagreement(predicted: NDArray[np.generic]) -> float | None:
    """Return the mean over pairs of seeds of the share of examples with different predictions, in [0, 1].

    None below two seeds or without examples. Source: Du & Nguyen (2023), arXiv:2302.07778.

    Args:
        predicted: (n seeds, N examples) predicted classes.
    """
    n, examples = predicted.shape
    if n < 2 or examples == 0:
        return None
    shares = [float(np.mean(predicted[i] != predicted[j])) for i in range(n) for j in range(i)]
    return math.fsum(shares) / len(shares)


def interquartile_mean(values: Sequence[float]) -> float | None:
    """Return the mean without the ⌊n/4⌋ smallest and the ⌊n/4⌋ largest values; None without values. Descriptive.

    Source: Agarwal et al. (2021), arXiv:2108.13264. Infinities are ordered and may be cut; any NaN gives NaN.
    """
    if not values:
        return None
    if any(math.isnan(x) for x in values):
        return math.nan
    cut = len(values) // 4
    inner = sorted(values)[cut : len(values) - cut]
    if {math.inf, -math.inf} <= set(inner):
        return math.nan
    return math.fsum(inner) / len(inner)


def probability_of_improvement(reference: Sequence[float], candidate: Sequence[float]) -> float | None:
    """Return P(Y > X) + ½P(Y = X) over all pairs (X of the reference, Y of the candidate). Descriptive.

    The Mann-Whitney statistic over n₁·n₂; 0.5 means no difference. NaN never wins: it counts as the smallest value.
    None where an arm is empty. Source: Agarwal et al. (2021), arXiv:2108.13264.
    """
    if not reference or not candidate:
        return None
    x, y = ([-math.inf if math.isnan(v) else v for v in arm] for arm in (reference, candidate))
    wins = sum(1.0 if b > a else 0.5 if b == a else 0.0 for a in x for b in y)
    return wins / (len(x) * len(y))


def expected_maximum(values: Sequence[float], k: int) -> Estimate:
    """Return the expected best of k runs, Σᵢ x₍ᵢ₎·C(i−1, k−1)/C(n, k): the mean maximum of all subsets of k. Unbiased.

    Descriptive, and no measure of quality: it grows with the spread. Where lower is better give −x. Source: Tang et al.
    (2020), arXiv:2004.13705, who show why not `expected_maximum_with_replacement`.

    No value for k outside 1 … n, since no subset has more runs than there are, nor with a NaN.

    Args:
        values: one per run.
        k: number of runs of which the best is taken.
    """
    n, name = len(values), f"expected maximum of {k}, U-statistic"
    reason = _no_maximum(values, k, n)
    if reason:
        return Estimate(None, None, None, 0.95, n, name, reason=reason)
    weights = [math.comb(i, k - 1) / math.comb(n, k) for i in range(n)]
    return _weighted_maximum(values, weights, name)


def expected_maximum_with_replacement(values: Sequence[float], k: int) -> Estimate:
    """Return Σᵢ x₍ᵢ₎·((i/n)ᵏ − ((i−1)/n)ᵏ), the expected maximum of k draws with replacement: biased low.

    Only for comparison with published figures that use it: it replaces the unknown distribution by the n runs seen, so
    that it can never exceed their maximum. Source: Dodge et al. (2019), arXiv:1909.03004.
    """
    n, name = len(values), f"expected maximum of {k}, V-statistic (biased)"
    reason = _no_maximum(values, k, None)
    if reason:
        return Estimate(None, None, None, 0.95, n, name, reason=reason)
    weights = [((i + 1) / n) ** k - (i / n) ** k for i in range(n)]
    return _weighted_maximum(values, weights, name)


def _no_maximum(values: Sequence[float], k: int, most: int | None) -> str:
    """Say why there is no expected maximum; empty where there is one."""
    if not values:
        return "no run"
    if k < 1 or (most is not None and k > most):
        return f"the best of {k} is undefined for {len(values)} run{'s' if len(values) != 1 else ''}"
    lost = sum(math.isnan(x) for x in values)
    return f"{lost} of {len(values)} values are NaN" if lost else ""


def _weighted_maximum(values: Sequence[float], weights: Sequence[float], name: str) -> Estimate:
    # Zero times infinity is not a number: a value without weight is left out.
    kept = [(x, w) for x, w in zip(sorted(values), weights, strict=True) if w > 0]
    reason = "descriptive: no interval"
    if {math.inf, -math.inf} & {x for x, _ in kept}:
        infinite = {x for x, _ in kept if math.isinf(x)}
        value = infinite.pop() if len(infinite) == 1 else None
        reason = reason if value is not None else "infinities of both signs have no mean"
        return Estimate(value, None, None, 0.95, len(values), name, reason=reason)
    return Estimate(math.fsum(x * w for x, w in kept), None, None, 0.95, len(values), name, reason=reason)
