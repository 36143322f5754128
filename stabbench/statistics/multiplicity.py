"""Several claims at once: the level at which each is tested."""

from __future__ import annotations

from collections.abc import Sequence


def holm_levels(p_values: Sequence[float | None], alpha: float = 0.05) -> list[float]:
    """Return for each claim the level its p-value must stay below; the chance of any false decision is at most `alpha`.

    Ordered by p, claim r of m is tested at α/(m−r+1) until one fails; later claims use that failing level. A claim
    without a p-value counts towards m and comes last: leaving it out would reward a missing measurement. Source: Holm
    (1979), Scandinavian Journal of Statistics 6:65.
    """
    m = len(p_values)
    order = sorted(range(m), key=lambda i: 1.0 if p_values[i] is None else float(p_values[i] or 0.0))
    levels, failing = [alpha] * m, 0.0
    for rank, i in enumerate(order):
        p = p_values[i]
        levels[i] = failing or alpha / (m - rank)
        if not failing and not (p is not None and p < levels[i]):
            failing = levels[i]
    return levels
