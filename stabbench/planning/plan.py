"""The plan of a run: cells, the formula of their number, what is cached, time, disk, and what can be found out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from stabbench.planning.cells import cells as cells_of
from stabbench.planning.estimate import Estimate, disk_bytes, estimate
from stabbench.planning.keys import resolve
from stabbench.planning.looks import expectation
from stabbench.planning.trials import arms, chain_name, labels
from stabbench.records import DENSE, Cell
from stabbench.statistics.power import detectable_effect
from stabbench.store.cells import Store
from stabbench.suite.load import LoadedSuite
from stabbench.suite.schema import AdaptiveSeeds, SeedsAtLook


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        loaded: the suite with its file.
        cells: in order of work; parents before children.
        keys: each cell's key, or None while its parents have not been trained.
        cached: ids of the cells that are in the store.
        formula: how the number of cells comes about.
        stopped: with adaptive seeds that are decided already, how the looks ended.
    """

    loaded: LoadedSuite
    cells: tuple[Cell, ...]
    keys: dict[str, str | None]
    cached: frozenset[str]
    formula: str
    stopped: str = ""

    @property
    def pending(self) -> list[Cell]:
        """The cells that still have to be done."""
        return [cell for cell in self.cells if cell.id not in self.cached]


def make_plan(loaded: LoadedSuite, store: Store, *, fresh: bool = False) -> Plan:
    """Resolve a suite against a store; with `fresh` nothing counts as cached."""
    cells = cells_of(loaded)
    keys: dict[str, str | None] = dict.fromkeys(cell.id for cell in cells) if fresh else resolve(cells, store)
    cached = frozenset(cell_id for cell_id, key in keys.items() if key and store.path(key).exists())
    return Plan(loaded, cells, keys, cached, formula(loaded, cells))


def formula(loaded: LoadedSuite, cells: tuple[Cell, ...]) -> str:
    """Return the count as a product, such as ``2 variants × 6 seeds × (train + accuracy) + latency = 25 cells``."""
    suite = loaded.suite
    adaptive = isinstance(suite.seeds, AdaptiveSeeds) and not isinstance(suite.seeds, SeedsAtLook)
    trials = f"{len(arms(suite))} variants × {'at most ' if adaptive else ''}{len(labels(suite))} seeds"
    first = arms(suite)[0].variant, labels(suite)[0]
    mine = [cell for cell in cells if (cell.variant, cell.seed) == first]
    dense = " + ".join(cell.probe for cell in mine if cell.compression == DENSE)
    parts = [f"{trials} × ({dense})"]
    if suite.compressions:
        label = chain_name(suite.compressions[0])
        probes = " + ".join(cell.probe for cell in mine if cell.compression == label)
        parts.append(f"{trials} × {len(suite.compressions)} compressions × ({probes})")
    parts += [f"{cell.probe} panel" for cell in cells if cell.kind == "panel"]
    return f"{' + '.join(parts)} = {len(cells)} cells"


def describe(plan: Plan, store: Store, jobs: int) -> dict[str, Any]:
    """Return the plan as JSON: what ``stabbench plan --json`` prints and its text is made from."""
    suite = plan.loaded.suite
    time: Estimate = estimate(plan.loaded, plan.pending, store, jobs)
    seeds = len(labels(suite))
    effect = detectable_effect(seeds)
    return {
        "schema": 1,
        "suite": suite.name,
        "formula": plan.formula,
        "cells": dict(Counter(cell.kind for cell in plan.cells)),
        "planned": len(plan.cells),
        "cached": len(plan.cached),
        "to_run": len(plan.pending),
        "jobs": jobs,
        "precision": sorted({arm.train.precision for arm in arms(suite)}),
        "seconds": time.seconds,
        "seconds_basis": time.basis,
        "disk_bytes": disk_bytes(plan.loaded, plan.pending),
        "seeds": seeds,
        "looks": expectation(suite, plan.cells, plan.stopped),
        "detectable_effect_sd": effect,
        "verdicts": "about these checkpoints, text by text" if suite.of_checkpoints else reachable(seeds),
    }


def reachable(seeds: int) -> str:
    """Return which verdicts a claim about a level can reach with so many seed pairs."""
    if seeds < 2:
        return "one seed: every claim about a level is inconclusive"
    if seeds < 3:
        return "2 seeds: accuracy only, with very wide intervals; robustness claims need 3 pairs without a failed run"
    spread = "" if seeds >= 5 else "; claims about spread are inconclusive below 5 seeds"
    floor = 2 / 2**seeds
    return f"all verdicts{spread}; the exact paired test cannot go below p = {floor:.2g}"
