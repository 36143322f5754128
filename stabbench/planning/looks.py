"""What adaptive seeds will need: when it is looked, the most cells, and those to be expected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stabbench.claims.contrasts import primary_entries
from stabbench.claims.looks import design_of
from stabbench.planning.trials import labels
from stabbench.records import Cell
from stabbench.statistics.sequential import expected_seeds
from stabbench.suite.schema import AdaptiveSeeds, Suite

EFFECTS = (0.0, 1.2)
"""Effects, in SDs of the paired difference, for which the expected number of cells is told."""


def expectation(suite: Suite, cells: Sequence[Cell], stopped: str) -> dict[str, Any] | None:
    """Return the looks of a suite with adaptive seeds, its most and its expected cells; None for a fixed number.

    Expected: the mean over simulated normal differences at the level of the first of the primary claims under Holm,
    without counting on equivalence, so that the run will rather need less.

    Args:
        suite: the suite, of all seeds or as of a look.
        cells: the planned ones of those seeds.
        stopped: how the looks ended, where the seeds that are done have decided already; else empty.
    """
    seeds = suite.seeds
    if not isinstance(seeds, AdaptiveSeeds):
        return None
    design = design_of(seeds)
    panels = sum(cell.kind == "panel" for cell in cells)
    each = (len(cells) - panels) / len(labels(suite))
    alpha = (1 - suite.compare.level) / _primary_claims(suite)
    means = {effect: expected_seeds(design, effect, alpha) for effect in EFFECTS}
    return {
        "until": seeds.until,
        "seeds": list(design.looks),
        "most_cells": round(each * seeds.max) + panels,
        "expected_cells": {f"{effect:g}": round(each * mean) + panels for effect, mean in means.items()},
        "stopped": stopped,
    }


def _primary_claims(suite: Suite) -> int:
    candidates = len(suite.variants) - 1
    return max(1, sum(1 if entry.candidate is not None else candidates for entry in primary_entries(suite)))
