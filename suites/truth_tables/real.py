"""Real seed distributions: 6 models × 36 tasks × 20 seeds that nobody here trained."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from stabbench.statistics.paired import paired_t
from truth_tables.level import found_with, judged
from truth_tables.measured import Table, coverage
from truth_tables.scenarios import SEEDS, Array

DATA = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "seed_runs"
RUNS, SUMMARY = DATA / "model_recycling_6_models_36_tasks.tsv", DATA / "model_recycling_summary.tsv"
COMPARISONS = 1000


def distributions() -> dict[tuple[str, str], Array]:
    """Return (model, task) → accuracies of its runs, Spearman's ρ for STS-B; a run without a number has none."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in _rows(RUNS):
        value = row["accuracy"] or row["spearmanr"]
        if value:
            found.setdefault((row["model"], row["dataset"]), []).append(float(value))
    return {key: np.array(values) for key, values in found.items()}


def published() -> dict[tuple[str, str], tuple[float, float]]:
    """Return (model, task) → published (mean, SD) in percent."""
    return {(row["model"], row["dataset"]): (float(row["mean"]), float(row["std"])) for row in _rows(SUMMARY)}


def recomputed() -> Table:
    """Mean and SD (ddof 1) of every distribution against the published ones."""
    told, runs = published(), distributions()
    # Half a unit of the last printed digit, and what rounding a tie either way leaves.
    close = 0.005 + 1e-9
    means = [key for key, x in runs.items() if abs(100 * x.mean() - told[key][0]) <= close]
    deviations = [key for key, x in runs.items() if abs(100 * np.std(x, ddof=1) - told[key][1]) <= close]
    biased = [key for key, x in runs.items() if abs(100 * np.std(x) - told[key][1]) <= close]
    table = Table(
        "published",
        "Published summaries, recomputed",
        "Agreement to the last printed digit (half a unit of it) of the published means and standard deviations with "
        "those of the runs.",
    )
    total = len(runs)
    table.rows.append({"figure": "mean", "distributions": total, "agree": len(means)})
    table.rows.append({"figure": "SD, ddof = 1", "distributions": total, "agree": len(deviations)})
    table.rows.append({"figure": "SD, ddof = 0, for comparison", "distributions": total, "agree": len(biased)})
    return table


def same_against_same(rng: np.random.Generator, comparisons: int) -> Table:
    """A/A: two disjoint sets of n runs of one model and task, decided by `claims.build` as one primary claim."""
    table = Table(
        "same",
        "The same against the same, on real seed distributions",
        "Each comparison draws a model and task, and two disjoint sets of n of its runs (n = 10 needs all 20, which "
        "two of the 216 do not have), and asks `claims.build` for the verdict of one primary claim on accuracy with "
        "its default margin of 1 point. False: improved or regressed. p < .05 is counted before any verdict. With 20 "
        "runs each, n = 25 cannot be drawn.",
    )
    runs = list(distributions().values())
    for n in (3, 5, 10):
        enough = [x for x in runs if len(x) >= 2 * n]
        claims = []
        for _ in range(comparisons):
            x = rng.permutation(enough[rng.integers(len(enough))])
            claims.append(judged(x[:n].tolist(), x[n : 2 * n].tolist()))
        words = [claim.verdict for claim in claims]
        table.rows.append(
            {
                "n": n,
                "distributions": len(enough),
                "comparisons": comparisons,
                "p < .05": np.mean([claim.p is not None and claim.p < 0.05 for claim in claims]),
                "false improved": words.count("improved") / comparisons,
                "false regressed": words.count("regressed") / comparisons,
                "equivalent": words.count("equivalent") / comparisons,
                "inconclusive": words.count("inconclusive") / comparisons,
            }
        )
    return table


def resampled(rng: np.random.Generator, simulations: int) -> Table:
    """Each distribution's 20 runs as a population: paired t of two arms of n, drawn with replacement."""
    table = Table(
        "real",
        "Real seed distributions as populations",
        "From each of the 216 distributions two arms of n runs are drawn with replacement, so that n = 25 exists too. "
        f"Coverage of the true difference 0 by the paired t over all ({simulations} simulations per distribution), in "
        "the tenth with least coverage, median width against the two oracles, and power at a difference of 2 SDs.",
    )
    for n in SEEDS:
        lines, power = [], []
        for x in distributions().values():
            d = rng.choice(x, (simulations, n)) - rng.choice(x, (simulations, n))
            found = [paired_t(row.tolist()) for row in d]
            lines.append(coverage(found, 0.0))
            power.append(np.mean(found_with(found, 2 * float(np.std(x)))))
        covered = np.array([line["coverage"] for line in lines], float)
        row: dict[str, object] = {
            "n": n,
            "coverage": covered.mean(),
            "coverage, worst tenth": np.sort(covered)[:21].mean(),
        }
        for oracle in ("width, shape told", "width, all told"):
            row[oracle] = float(np.median([line[oracle] for line in lines if line[oracle] is not None]))
        row["given"] = np.mean([line["given"] for line in lines])
        row["power at 2 SD"] = np.mean(power)
        table.rows.append(row)
    return table


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
