"""Sources of variance in a crossed grid, and the expected best of several runs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stabbench.statistics.components import resampled_components, variance_components
from stabbench.statistics.seeds import expected_maximum, expected_maximum_with_replacement
from truth_tables.measured import COVERAGE, Table, coverage
from truth_tables.scenarios import Array

EFFECTS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "t, 5 d.f.": lambda rng, shape: rng.standard_t(5, shape) / np.sqrt(5 / 3),
    "exponential": lambda rng, shape: rng.exponential(size=shape) - 1,
}
SLOW_RESAMPLES = 200


def components(rng: np.random.Generator, simulations: int) -> Table:
    """The rows' component: true variances of rows 0, ¼, 1; columns ¼; rest 1."""
    table = Table(
        "components",
        "Variance components of crossed seeds",
        "Interval of the variance from row to row; columns have ¼, the rest 1. The normal-theory interval is exact for "
        "normal effects only: with tails, few rows do not show how heavy they are, and no method here is valid. "
        f"Resampling rows and columns ({SLOW_RESAMPLES} simulations) is descriptive. Below 5 × 5: point estimates "
        "only. p: share of F tests below .05.",
    )
    for name, draw in EFFECTS.items():
        for size in (5, 10, 25):
            for truth in (0.0, 0.25, 1.0):
                grids = [
                    np.sqrt(truth) * draw(rng, (size, 1)) + 0.5 * draw(rng, (1, size)) + draw(rng, (size, size))
                    for _ in range(simulations)
                ]
                found = [variance_components(grid).rows for grid in grids]
                line = coverage(found, truth)
                drawn = [resampled_components(grid, rng=rng, draws=500).rows for grid in grids[:SLOW_RESAMPLES]]
                table.rows.append(
                    {
                        "effects": name,
                        "grid": f"{size} × {size}",
                        "true variance": truth,
                        "p < .05": np.mean([e.p is not None and e.p < 0.05 for e in found]),
                        "coverage": line["coverage"],
                        "width, all told": line["width, all told"],
                        "resampled coverage": coverage(drawn, truth)["coverage"],
                        "meets": "yes" if line["coverage"] >= COVERAGE else "too short",
                    }
                )
    return table


def best_of(rng: np.random.Generator, simulations: int) -> Table:
    """Bias of the expected best of k of n normal runs."""
    table = Table(
        "maximum",
        "Expected best of k runs",
        "Bias in standard deviations of a run's value, normal data: the U-statistic that is reported, and the "
        "published V-statistic, which draws with replacement.",
    )
    for n, k in ((5, 3), (5, 5), (10, 5), (10, 10)):
        truth = float(rng.normal(size=(400_000, k)).max(axis=1).mean())
        samples = rng.normal(size=(simulations, n)).tolist()
        row: dict[str, object] = {"n": n, "k": k}
        for name, method in (("U", expected_maximum), ("V (biased)", expected_maximum_with_replacement)):
            found = [method(values, k).value for values in samples]
            row[f"bias of {name}"] = float(np.mean([v for v in found if v is not None])) - truth
        table.rows.append(row)
    return table
