"""Failed runs: exact by enumeration of all tables, so without simulation error."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from stabbench.statistics.failure_power import boschloo_table
from stabbench.statistics.failures import mcnemar, newcombe
from stabbench.statistics.proportions import clopper_pearson
from truth_tables.measured import Table
from truth_tables.scenarios import SEEDS, Array

RATES = np.linspace(0, 1, 101)
PAIRS = ((0.1, 0.1), (0.2, 0.2), (0.5, 0.5), (0.2, 0.0), (0.5, 0.0), (0.5, 0.1), (0.9, 0.3))
POWER = ((1.0, 0.0), (0.5, 0.0), (0.5, 0.1), (0.3, 0.0))
MARGIN = 0.10
"""Default margin of a claim about failed runs."""


def tests() -> Table:
    """Largest false-alarm rate over all common rates, and power."""
    table = Table(
        "failures",
        "Failure rates: tests",
        "Exact, over all tables of n runs per arm. False alarms: the largest over common rates 0, .01, …, 1. The rule "
        "of claims: Boschloo's p < .05 and Newcombe's interval without 0. McNemar's alarms are those of independent "
        "pairs. False equivalence: the largest chance that the 90 % interval lies in ±.10 when the rates differ by "
        ".10. Corrected: the rule with Newcombe's continuity-corrected interval, which is not used for what it costs.",
    )
    for n in SEEDS:
        mass, boschloo = _mass(n), boschloo_table(n) < 0.05
        rule, corrected = (boschloo & _without_zero(n, 0.95, way) for way in (False, True))
        ends = _differences(n, 0.90, corrected=False)
        equal = (ends[..., 0] >= -MARGIN) & (ends[..., 1] <= MARGIN)
        row: dict[str, object] = {
            "n": n,
            "Boschloo, most false alarms": max(float(m @ boschloo @ m) for m in mass),
            "rule, most false alarms": max(float(m @ rule @ m) for m in mass),
            "McNemar, most false alarms": max(_mcnemar(float(r), n) for r in RATES),
            "most false equivalence": max(float(mass[i] @ equal @ mass[i + 10]) for i in range(91)),
        }
        for first, second in POWER:
            chance = [float(_at(n, first) @ decided @ _at(n, second)) for decided in (rule, corrected)]
            row[f"power {first:.0%} vs {second:.0%}"] = chance[0]
            row[f"{first:.0%} vs {second:.0%}, corrected"] = chance[1]
        table.rows.append(row)
    return table


def one_rate() -> Table:
    """Clopper-Pearson: covers at every rate, and how wide that is."""
    table = Table(
        "rate",
        "One failure rate: Clopper-Pearson",
        "Exact. Least and mean coverage over rates 0, .01, …, 1; mean width over that of rate ± "
        "1.96·√(rate(1−rate)/n), which knows the rate.",
    )
    for n in SEEDS:
        ends = np.array([clopper_pearson(k, n).interval for k in range(n + 1)], float)
        covered = (ends[:, :1] <= RATES) & (ends[:, 1:] >= RATES)
        each = np.sum(_mass(n).T * covered, axis=0)
        row: dict[str, object] = {"n": n, "least coverage": float(each.min()), "mean coverage": float(each.mean())}
        for rate in (0.2, 0.5):
            width = float(_at(n, rate) @ (ends[:, 1] - ends[:, 0]))
            row[f"width at {rate:.0%}, all told"] = width / (2 * 1.96 * math.sqrt(rate * (1 - rate) / n))
        table.rows.append(row)
    return table


def two_rates() -> Table:
    """Newcombe's interval at chosen pairs of rates, and over all of them."""
    table = Table(
        "rates",
        "Difference of failure rates: Newcombe's interval",
        "Exact. Mean width over that of the difference ± 1.96 true standard errors. Corrected: with the correction for "
        "continuity, which is not used. All pairs: mean over rates 0, .01, …, 1 for each arm.",
    )
    for n in SEEDS:
        for first, second in PAIRS:
            known = 2 * 1.96 * math.sqrt((first * (1 - first) + second * (1 - second)) / n)
            row: dict[str, object] = {"rates": f"{first:.0%} and {second:.0%}", "n": n}
            weight = np.outer(_at(n, first), _at(n, second))
            plain, corrected = (_differences(n, 0.95, corrected=way) for way in (False, True))
            row["coverage"] = reached = float(np.sum(weight * _holds(plain, second - first)))
            row["width, all told"] = float(np.sum(weight * (plain[..., 1] - plain[..., 0]))) / known
            row["coverage, corrected"] = float(np.sum(weight * _holds(corrected, second - first)))
            row["width, corrected"] = float(np.sum(weight * (corrected[..., 1] - corrected[..., 0]))) / known
            table.rows.append({**row, "meets": "yes" if reached >= 0.93 else "too short"})
        everywhere = [_everywhere(n, corrected=way) for way in (False, True)]
        table.rows.append(
            {
                "rates": "all pairs",
                "n": n,
                "coverage": everywhere[0],
                "width, all told": None,
                "coverage, corrected": everywhere[1],
                "width, corrected": None,
                "meets": "yes" if everywhere[0] >= 0.93 else "too short",
            }
        )
    return table


def _everywhere(n: int, *, corrected: bool) -> float:
    """Return the coverage, meaned over all pairs of rates."""
    ends, mass = _differences(n, 0.95, corrected=corrected), _mass(n)
    found = [
        float(mass[i] @ _holds(ends, second - first) @ mass[j])
        for i, first in enumerate(RATES)
        for j, second in enumerate(RATES)
    ]
    return float(np.mean(found))


def _holds(ends: Array, truth: float) -> Array:
    return np.asarray((ends[..., 0] <= truth + 1e-12) & (truth - 1e-12 <= ends[..., 1]), float)


def _without_zero(n: int, level: float, corrected: bool) -> Array:
    ends = _differences(n, level, corrected=corrected)
    return np.asarray((ends[..., 0] > 0) | (ends[..., 1] < 0))


@cache
def _differences(n: int, level: float, *, corrected: bool) -> Array:
    """Return the interval of k₂/n − k₁/n for all tables, as (n+1, n+1, 2)."""
    if not corrected:
        found = [[newcombe((a, n), (b, n), level).interval for b in range(n + 1)] for a in range(n + 1)]
        return np.array(found, float)
    from scipy.special import ndtri

    # Newcombe (1998), method 11: Wilson's limits of k − ½ and k + ½.
    k, z2 = np.arange(n + 1), float(ndtri(0.5 + level / 2)) ** 2
    low, high = (
        (m + z2 / 2 + sign * np.sqrt(np.maximum(z2 * (m * (1 - m / n) + z2 / 4), 0))) / (n + z2)
        for m, sign in ((k - 0.5, -1), (k + 0.5, 1))
    )
    low[0], high[n], p = 0.0, 1.0, k / n
    d = p[None, :] - p[:, None]
    down = np.hypot((p - low)[None, :], (high - p)[:, None])
    up = np.hypot((high - p)[None, :], (p - low)[:, None])
    return np.stack([d - down, d + up], axis=-1)


@cache
def _mass(n: int) -> Array:
    """P(k of n) for each of `RATES`, as (rates, n+1)."""
    from scipy.stats import binom

    return np.asarray(binom.pmf(np.arange(n + 1), n, RATES[:, None]), float)


def _at(n: int, rate: float) -> Array:
    return _mass(n)[round(100 * rate)]


def _mcnemar(rate: float, n: int) -> float:
    """Chance that McNemar's p is below .05 when both runs of a pair fail independently at one rate."""
    from scipy.stats import binom

    total = 0.0
    for discordant in range(n + 1):
        p = [mcnemar(b, discordant - b).p for b in range(discordant + 1)]
        reject = np.array([q is not None and q < 0.05 for q in p])
        one_way = float(np.sum(binom.pmf(np.arange(discordant + 1), discordant, 0.5) * reject))
        total += float(binom.pmf(discordant, n, 2 * rate * (1 - rate))) * one_way
    return total
