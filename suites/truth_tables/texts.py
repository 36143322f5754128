"""New seeds and new texts: differences and rates over seeds × texts, and one pair of models on the same texts."""

from __future__ import annotations

import numpy as np

from stabbench.statistics.bootstrap import discordant, multi_bootstrap, paired_bootstrap
from stabbench.statistics.crossed import crossed_difference, crossed_rate
from stabbench.statistics.failures import mcnemar
from stabbench.statistics.paired import paired_t
from truth_tables.measured import Table, coverage, stands
from truth_tables.scenarios import SEEDS, TEST_SET, TEXTS

SLOW_BOOTSTRAPS = 300


def differences(rng: np.random.Generator, simulations: int) -> Table:
    """Three intervals for one truth: the difference over new seeds and new texts."""
    table = Table(
        "texts",
        "Accuracy difference for new seeds and new texts",
        f"Two arms, n paired seeds, N = {TEST_SET} shared texts, drawn anew in every simulation. The paired t over "
        "seeds is about the texts at hand and is shown to fail where texts differ; the multi-bootstrap is given from "
        f"20 seeds on ({SLOW_BOOTSTRAPS} simulations).",
    )
    for name, scenario in TEXTS.items():
        for n in SEEDS:
            drawn = [scenario.draw(rng, n, TEST_SET) for _ in range(simulations)]
            slow = drawn[: SLOW_BOOTSTRAPS if n > 10 else 20]
            methods = {
                "two-way t": [crossed_difference(a, b) for a, b in drawn],
                "paired t over seeds": [paired_t((b.mean(axis=1) - a.mean(axis=1)).tolist()) for a, b in drawn],
                "multi-bootstrap": [multi_bootstrap(a, b, rng=rng) for a, b in slow],
            }
            for method, found in methods.items():
                line = coverage(found, scenario.difference)
                table.rows.append({"scenario": name, "n": n, "method": method, **line, "meets": stands(line)})
    return table


def rates(rng: np.random.Generator, simulations: int) -> Table:
    """Attack and noise rates: hits over seeds × texts with a latent normal score."""
    table = Table(
        "hierarchical",
        "Attack and noise rates for new seeds and new texts",
        "Hits where a latent normal score of seed and text is positive: SD 1 over texts and .3 over seeds beside noise "
        "of SD 1. Every seed meets the same N texts; in the last lines an attack skips each with probability .3.",
    )
    from scipy.special import ndtr

    for mean, texts, skipped in ((-0.7, 20, 0.0), (-0.7, 100, 0.0), (-2.0, 20, 0.0), (-2.0, 100, 0.0), (-0.7, 50, 0.3)):
        truth = float(ndtr(mean / np.sqrt(2.09)))
        for n in SEEDS:
            found = []
            for _ in range(simulations):
                score = rng.normal(size=texts) + 0.3 * rng.normal(size=(n, 1)) + rng.normal(size=(n, texts)) + mean
                tried = rng.random((n, texts)) >= skipped
                found.append(crossed_rate((score > 0) & tried, tried))
            line = coverage(found, truth)
            name = f"rate {truth:.0%}, N = {texts}{', 30 % skipped' if skipped else ''}"
            table.rows.append({"scenario": name, "n": n, **line, "meets": stands(line)})
    return table


def pairs(rng: np.random.Generator, simulations: int) -> Table:
    """Two models on the same texts, as `audit --vs`: exact McNemar and the paired bootstrap."""
    table = Table(
        "pairs",
        "Two models on the same texts (`audit --vs`)",
        "b of N texts only the reference gets right, c only the candidate; true shares as given. False alarms and "
        "power are those of exact McNemar at .05, which keeps below it by being discrete.",
    )
    for first, second in ((0.02, 0.02), (0.05, 0.05), (0.10, 0.10), (0.06, 0.12)):
        for texts in (50, TEST_SET, 872):
            estimates, p = [], []
            for only_a, only_b, _ in rng.multinomial(texts, [first, second, 1 - first - second], size=simulations):
                a, b = np.ones(texts, bool), np.ones(texts, bool)
                b[:only_a] = False
                a[only_a : only_a + only_b] = False
                estimates.append(paired_bootstrap(a, b, rng=rng))
                p.append(mcnemar(*discordant(a, b)).p)
            line = coverage(estimates, second - first)
            decided = np.mean([q is not None and q < 0.05 for q in p])
            table.rows.append(
                {
                    "scenario": f"{first:.0%} and {second:.0%} discordant",
                    "texts": texts,
                    "false alarms" if first == second else "power": decided,
                    **line,
                    "meets": stands(line),
                }
            )
    for row in table.rows:
        row.setdefault("false alarms", None)
        row.setdefault("power", None)
    return table
