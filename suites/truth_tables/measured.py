"""What a simulation says about an interval: coverage, width against two oracles, and how often there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stabbench.statistics.result import Estimate
from truth_tables.scenarios import Array

COVERAGE, WIDTH = 0.93, 1.3


@dataclass
class Table:
    """One table of the report.

    Attributes:
        name: key in the JSON file.
        title: heading.
        note: what was done, in a few sentences.
        rows: one mapping per line, all with the same keys.
        simulations: simulations behind a line; 0 where the table is exact or of something else.
    """

    name: str
    title: str
    note: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    simulations: int = 0


def coverage(found: Sequence[Estimate], truth: float) -> dict[str, Any]:
    """Return what the intervals of many simulations did.

    `coverage`: share that holds the truth, of those given. `given`: share that has an interval. `width, shape told`:
    mean width over that of the interval of the same form whose multiplier was chosen, with the truth at hand, so that
    exactly 95 % cover: 1/c with c the 95 % quantile of |centre − truth|/half-width. `width, all told`: mean width over
    that of estimate ± the 95 % quantile of its true errors, which knows the variance.
    """
    kept = [e for e in found if e.low is not None and e.high is not None and e.value is not None]
    if not kept:
        return {"coverage": None, "width, shape told": None, "width, all told": None, "given": 0.0}
    low, high, value = (np.array([getattr(e, name) for e in kept], float) for name in ("low", "high", "value"))
    return {**_summary(low, high, value, truth), "given": len(kept) / len(found)}


def _summary(low: Array, high: Array, value: Array, truth: float) -> dict[str, Any]:
    half = (high - low) / 2
    wide = half > 0
    needed = np.full(len(half), np.inf)
    needed[wide] = np.abs((low + high)[wide] / 2 - truth) / half[wide]
    # No interpolation: an interval without width needs an infinite multiplier.
    shape = float(np.quantile(needed, 0.95, method="inverted_cdf"))
    error = float(np.quantile(np.abs(value - truth), 0.95))
    return {
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
        "width, shape told": 1 / shape if shape > 0 else None,
        "width, all told": float(np.mean(half)) / error if error > 0 else None,
    }


def stands(row: dict[str, Any]) -> str:
    """Say whether a line meets the figures: coverage ≥ 93 % and width ≤ 1.3 times the oracle told the shape."""
    if row["coverage"] is None:
        return "no interval, and says so"
    if row["coverage"] < COVERAGE:
        return "too short"
    told = row["width, shape told"]
    return "yes" if told is not None and told <= WIDTH else "covers; wide"
