"""Before the run: what can this many seeds show about failed runs? Exact, by every table that can come out."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stabbench.statistics.failures import newcombe
from stabbench.statistics.result import excludes_zero

RATES = 400
"""Points of the grid of common rates on which Boschloo's supremum is taken."""


def failure_power(reference: float, candidate: float, n: int, alpha: float = 0.05) -> float:
    """Return the chance that n seeds per arm decide between two failure rates, as claims do it.

    Σ over all tables (k₁, k₂) of B(k₁; n, π₁)·B(k₂; n, π₂) where Boschloo's p is below alpha and Newcombe's interval at
    1 − alpha excludes 0. The arms are taken as independent.

    Args:
        reference: true rate of failed runs of the reference, in [0, 1]; NaN gives NaN.
        candidate: true rate of the candidate.
        n: seeds per arm; 0 gives 0.
        alpha: level of the test; 0.05/m where the claim is the first of m under Holm.
    """
    if math.isnan(reference) or math.isnan(candidate):
        return math.nan
    if n < 1:
        return 0.0
    first, second = _binomial(np.array([reference]), n)[0], _binomial(np.array([candidate]), n)[0]
    return min(1.0, float(first @ _decided(n, alpha) @ second))


def needed_seeds_for_failures(
    reference: float, candidate: float, *, power: float = 0.80, alpha: float = 0.05, most: int = 60
) -> int | None:
    """Return the fewest seeds per arm that decide between two failure rates with `power`; None where `most` do not.

    The power of an exact test is not monotone in n; this is the first n from which on it stays at `power` for three.
    """
    if math.isnan(reference) or math.isnan(candidate) or reference == candidate:
        return None
    enough = 0
    for n in range(1, most + 3):
        enough = enough + 1 if failure_power(reference, candidate, n, alpha) >= power else 0
        if enough == 3:
            return n - 2
    return None


@cache
def boschloo_table(n: int) -> NDArray[np.float64]:
    """Return the two-sided p-values of Boschloo's test for all tables k₁/n against k₂/n, as (n+1, n+1).

    The same definition as `failures.boschloo`, which optimises the common rate for one table; here the supremum is that
    over `RATES` rates, which is a few parts in 10⁵ below it at most.
    """
    from scipy.special import gammaln

    k = np.arange(n + 1)
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    tables = log_choose[:, None] + log_choose[None, :]
    greater = np.zeros((n + 1, n + 1))
    for total in range(2 * n + 1):
        first = np.arange(max(0, total - n), min(n, total) + 1)
        mass = np.exp(tables[first, total - first] - tables[first, total - first].max())
        # P(K₁ ≥ k₁ | K₁ + K₂ = total): Fisher's one-sided p.
        greater[first, total - first] = np.cumsum(mass[::-1])[::-1] / mass.sum()
    weights = _binomial(np.linspace(0, 1, RATES + 1)[1:-1], n)
    one_sided = _supremum(greater, weights)
    p: NDArray[np.float64] = np.minimum(1.0, 2 * np.minimum(one_sided, one_sided.T))
    # No failure, or nothing but failures: nothing to tell apart.
    p[0, 0] = p[n, n] = 1.0
    p.flags.writeable = False
    return p


def _supremum(fisher: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sup over rates of P(Fisher's p ≤ its value at the table), for each table."""
    order = np.argsort(fisher, axis=None, kind="stable")
    mass = (weights[:, :, None] * weights[:, None, :]).reshape(len(weights), -1)[:, order]
    reached = np.cumsum(mass, axis=1).max(axis=0)
    sorted_p = fisher.ravel()[order]
    # Tables that tie belong together, whatever their order.
    last = np.searchsorted(sorted_p, sorted_p * (1 + 1e-9), side="right") - 1
    found = np.empty(fisher.size)
    found[order] = reached[last]
    return found.reshape(fisher.shape)


def _binomial(rates: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Return P(K = k) for each rate, as (rates, n+1)."""
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(n + 1)
    log_choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    mass: NDArray[np.float64] = np.exp(log_choose + xlogy(k, rates[:, None]) + xlog1py(n - k, -rates[:, None]))
    return mass


@cache
def _decided(n: int, alpha: float) -> NDArray[np.float64]:
    """Return 1 where a table decides, else 0, as (n+1, n+1)."""
    found = (boschloo_table(n) < alpha).astype(float)
    for k1, k2 in np.argwhere(found):
        if not excludes_zero(newcombe((int(k1), n), (int(k2), n), 1 - alpha).interval):
            found[k1, k2] = 0.0
    return found
