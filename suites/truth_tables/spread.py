"""Spread over seeds: Bonett's interval of the log SD ratio, Brown-Forsythe, permutation; and excess variance."""

from __future__ import annotations

import math

import numpy as np

from stabbench.statistics.result import excludes_zero
from stabbench.statistics.seeds import excess_variance
from stabbench.statistics.spread import brown_forsythe, log_sd_ratio, spread_permutation
from truth_tables.measured import Table, coverage, stands
from truth_tables.scenarios import DISTRIBUTIONS, FAILING, SEEDS, SOUND, TEST_SET

SLOW_PERMUTATIONS = 200


def spread(rng: np.random.Generator, simulations: int) -> Table:
    """Every distribution from n = 5 on; at n = 3 a claim about spread is inconclusive by rule."""
    table = Table(
        "spread",
        "Spread: the ratio of standard deviations over seeds",
        "Coverage of ln(SD ratio), true ratio 1 or 2. False alarms at ratio 1: share with p < .05 (Brown-Forsythe; "
        "permutation over fewer simulations), and share that claims decide (p and interval agree). Power: share "
        "decided. At n = 3 there is no interval and the claim is inconclusive by rule. Bonett's interval rests on "
        "fourth moments: t with 3 d.f. has none, and a few runs do not show those of arms that fail; no method that "
        "was tried is valid there, and a claim with failed runs among its own says so.",
    )
    alike = [(name, found, found) for name, found in DISTRIBUTIONS.items()]
    for name, reference, candidate in [*alike, ("20 % failed runs against none", FAILING, SOUND)]:
        for n in SEEDS:
            for factor in (1.0, 2.0) if reference is candidate else (1.0,):
                first = reference.draw(rng, (simulations, n)) - reference.mean
                second = (candidate.draw(rng, (simulations, n)) - candidate.mean) / factor
                truth = math.log(candidate.sd / factor / reference.sd)
                found = [log_sd_ratio(a.tolist(), b.tolist()) for a, b in zip(first, second, strict=True)]
                p = [brown_forsythe(a.tolist(), b.tolist()).p for a, b in zip(first, second, strict=True)]
                below = np.array([q is not None and q < 0.05 for q in p])
                decided = below & np.array([excludes_zero(e.interval) for e in found])
                line = coverage(found, truth)
                null = truth == 0.0
                flips = zip(first[:SLOW_PERMUTATIONS], second[:SLOW_PERMUTATIONS], strict=True)
                tested = [spread_permutation(a.tolist(), b.tolist()).p for a, b in flips] if null and n > 3 else []
                permuted = np.mean([q is not None and q < 0.05 for q in tested]) if tested else None
                table.rows.append(
                    {
                        "scenario": name,
                        "ratio": f"{math.exp(abs(truth)):.2g}",
                        "n": n,
                        "Brown-Forsythe alarms": np.mean(below) if null else None,
                        "permutation alarms": permuted,
                        "decided": np.mean(decided) if n > 3 else None,
                        **line,
                        "meets": stands(line),
                    }
                )
    return table


def excess(rng: np.random.Generator, simulations: int) -> Table:
    """Cochran's Q: seeds that flip texts independently, and seeds that differ by 3 points beyond it."""
    table = Table(
        "excess",
        "Excess variance over the finite test set (Cochran's Q)",
        f"N = {TEST_SET} texts of unequal difficulty. False alarms where seeds flip texts independently of each other; "
        "power where each seed also shifts all texts so that accuracy has a true SD of 3 points over seeds.",
    )
    for n in SEEDS:
        alarms = []
        for shift in (0.0, 0.155):
            score = 0.9 * rng.normal(size=(simulations, 1, TEST_SET)) + 0.4
            score = score + shift * rng.normal(size=(simulations, n, 1)) + rng.normal(size=(simulations, n, TEST_SET))
            p = [excess_variance(correct).p for correct in score > 0]
            alarms.append(np.mean([q is not None and q < 0.05 for q in p]))
        table.rows.append(
            {"n": n, "simulations": simulations, "false alarms": alarms[0], "power at SD 3 points": alarms[1]}
        )
    return table
