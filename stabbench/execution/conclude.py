"""The end of a run: what is in the store becomes measurements, claims, a verdict and a report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stabbench.claims.gate import Inconclusive, evaluate, exit_code
from stabbench.claims.verdict import RunStatus, verdict_document
from stabbench.execution.audited import audited
from stabbench.execution.collect import claims_of, collect_rows, counts, failed_counts, predictions
from stabbench.execution.facts import facts_of
from stabbench.execution.matching import mismatches
from stabbench.execution.outcomes import outcomes, outcomes_of_seeds
from stabbench.planning.keys import finished, resolve
from stabbench.planning.plan import Plan
from stabbench.planning.trials import arms, labels
from stabbench.records import Cell
from stabbench.store.cells import Store, StoredCell
from stabbench.store.run_folder import RunFolder


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        folder: the run's folder.
        verdict: the verdict document.
        exit_code: 0 complete, 1 a gate rule failed, 3 incomplete, 4 not comparable, 5 inconclusive, 130 interrupted.
        looks: with adaptive seeds how the looks ended, in words; else empty.
    """

    folder: RunFolder
    verdict: dict[str, Any]
    exit_code: int
    looks: str = ""


def conclude(
    plan: Plan,
    store: Store,
    folder: RunFolder,
    errors: Mapping[str, dict[str, str]],
    *,
    interrupted: bool,
    smoke: bool,
    inconclusive: Inconclusive = "warn",
    looks: Mapping[str, Any] | None = None,
) -> Outcome:
    """Collect, decide, write, report; `errors` are those of this run's cells, by id, `looks` how its looks ended."""
    suite = plan.loaded.suite
    stored = finished(plan.cells, store)
    broken = {cell_id: error for cell_id, error in errors.items() if cell_id not in stored}
    unmatched = mismatches(arms(suite), labels(suite), stored)
    made = predictions(plan.cells, stored)
    by_text = outcomes(plan.cells, stored) if suite.of_checkpoints else None
    of_seeds = None if suite.of_checkpoints else outcomes_of_seeds(plan.cells, stored)
    rows, claims = claims_of(collect_rows(plan.cells, stored, broken), suite, made, unmatched, by_text, of_seeds)
    within = {mismatch.variant: str(mismatch) for mismatch in unmatched}
    gate = [] if smoke else evaluate(suite.gate, rows, suite, within)
    numbers = counts(plan.cells, stored, plan.cached, broken)
    complete = numbers["errors"] == numbers["pending"] == 0
    status: RunStatus = "interrupted" if interrupted else "complete" if complete else "incomplete"
    added = {"facts": facts_of(plan.loaded, plan.cells, stored, unmatched)}
    added |= {} if looks is None else {"looks": dict(looks)}
    folder.write_json("plan.json", {**_plan_json(plan, store, stored, broken), **added})
    folder.write_rows(rows)
    for mismatch in unmatched:
        folder.append({"event": "unmatched", "time": now(), "message": str(mismatch)})
    verdict = verdict_document(
        suite=suite.name,
        run=relative(folder.path),
        status=status,
        cells=numbers,
        claims=[] if smoke else claims,
        failed_runs=failed_counts(plan.cells, stored),
        environment=folder.environment,
        report=relative(folder.path / "report.html"),
        gate=gate,
        audit=audited(plan, rows, stored),
    )
    folder.write_json("verdict.json", verdict)
    _keep_weights(plan, store, stored)
    write_report(folder)
    own = 130 if interrupted else 0 if complete else 3
    code = exit_code(own, [entry.outcome for entry in gate], inconclusive)
    return Outcome(folder, verdict, code, "" if looks is None else looks["text"])


def write_report(folder: RunFolder, output: Path | None = None) -> Path:
    """Render the report of a run from its folder and store, and return its path."""
    from stabbench.report.render import render

    target = output or folder.path / "report.html"
    render(RunFolder(folder.path), target)
    return target


def _plan_json(
    plan: Plan, store: Store, stored: dict[str, StoredCell], broken: dict[str, dict[str, str]]
) -> dict[str, Any]:
    def state(cell: Cell) -> str:
        if cell.id in stored:
            return "cached" if cell.id in plan.cached else "done"
        return "error" if cell.id in broken else "pending"

    keys = resolve(plan.cells, store)
    names = ("id", "kind", "variant", "seed", "compression", "probe", "options", "parents", "worker")
    cells = [
        {**{n: getattr(cell, n) for n in names}, "key": keys[cell.id], "state": state(cell)} for cell in plan.cells
    ]
    return {
        "schema": 1,
        "suite": plan.loaded.suite.name,
        "suite_file": relative(plan.loaded.path),
        "suite_folder": str(plan.loaded.path.parent.resolve()),
        "store": str(store.root.resolve()),
        "formula": plan.formula,
        "cells": cells,
    }


def _keep_weights(plan: Plan, store: Store, stored: dict[str, StoredCell]) -> None:
    """Remove trained weights by `keep_weights`, once every cell that reads them is finished."""
    policy = plan.loaded.suite.keep_weights
    if policy == "all":
        return
    last = labels(plan.loaded.suite)[-1]
    for cell in plan.cells:
        children = [other.id for other in plan.cells if cell.id in other.parents]
        over = cell.kind == "train" and cell.id in stored and all(child in stored for child in children)
        if over and (policy == "none" or cell.seed != last):
            store.drop_weights(stored[cell.id].key)


def relative(path: Path) -> str:
    """Return a path relative to the current folder where it is below it, else absolute."""
    absolute = path.resolve()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def now() -> str:
    """Return the time in UTC as ISO 8601 text."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
