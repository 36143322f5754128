"""From the store to a run's measurements and verdict: what was measured, what failed, what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stabbench.claims.build import build_claims
from stabbench.claims.claim import Claim
from stabbench.claims.derive import derive
from stabbench.claims.looks import UNMATCHED
from stabbench.claims.table import Outcomes, SeedOutcomes
from stabbench.execution.matching import Mismatch
from stabbench.records import DENSE, Cell, Measurement, Row
from stabbench.store.cells import StoredCell
from stabbench.suite.schema import Suite

Predictions = dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]]


def collect_rows(cells: Sequence[Cell], stored: Mapping[str, StoredCell], errors: Iterable[str]) -> list[Row]:
    """Return the measurements of all cells in planned order; names of variants are this suite's, whoever made the cell.

    Measurements of a failed run keep their values and carry the status ``failed-run``; a cell that ended in an error
    gives one row with status ``error`` and no value.
    """
    failed = failed_trials(cells, stored)
    rows: list[Row] = []
    broken = set(errors)
    for cell in cells:
        if cell.id in stored:
            rows += [_marked(row, failed) for row in _renamed(cell, stored[cell.id])]
        elif cell.id in broken:
            missing = Measurement(cell.probe, None, "", "neither", status="error")
            rows.append(Row(cell.variant, cell.seed or None, cell.compression or DENSE, cell.probe, missing))
    return rows


def _renamed(cell: Cell, stored: StoredCell) -> list[Row]:
    """Rows under the names of this suite: a cell may have been made for another suite's variant of the same content."""
    if cell.kind != "panel":
        return [replace(row, variant=cell.variant, seed=cell.seed) for row in stored.rows]
    given = zip(stored.record["options"]["members"], cell.options["members"], strict=True)
    names = {(old[0], old[1]): (new[0], new[1]) for old, new in given}
    renamed = []
    for row in stored.rows:
        variant, seed = names.get((row.variant, row.seed or ""), (row.variant, row.seed))
        renamed.append(replace(row, variant=variant, seed=seed))
    return renamed


def failed_trials(cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> dict[tuple[str, str], bool]:
    """Return (variant, seed) → whether the run failed, for every finished training."""
    return {
        (cell.variant, cell.seed): bool(stored[cell.id].details["failed"])
        for cell in cells
        if cell.kind == "train" and cell.id in stored
    }


def failed_counts(cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> dict[str, list[int]]:
    """Return variant → [failed runs, finished runs]."""
    counts: dict[str, list[int]] = {}
    for (variant, _), failed in failed_trials(cells, stored).items():
        k_n = counts.setdefault(variant, [0, 0])
        k_n[0] += failed
        k_n[1] += 1
    return counts


def predictions(cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> Predictions:
    """Return (variant, seed, compression) → labels and predictions on the test split."""
    found: Predictions = {}
    for cell in cells:
        if cell.probe == "accuracy" and cell.id in stored:
            with np.load(stored[cell.id].folder / "predictions.npz") as arrays:
                found[cell.variant, cell.seed, cell.compression] = (arrays["label"], arrays["predicted"])
    return found


def claims_of(
    rows: list[Row],
    suite: Suite,
    made: Predictions,
    unmatched: Sequence[Mismatch],
    by_text: Outcomes | None = None,
    of_seeds: SeedOutcomes | None = None,
) -> tuple[list[Row], list[Claim]]:
    """Return the rows with the derived ones added, and the claims; pairs that are not matched are not compared.

    `by_text` is what finished checkpoints got on each text; their claims rest on that. `of_seeds` is
    what each seed got on each text under noise and attack; the claims over seeds tell it beside.
    """
    complete = [*rows, *derive(rows, made, suite)]
    claims = build_claims(complete, suite, made, by_text, of_seeds)
    worst = {mismatch.variant: mismatch for mismatch in unmatched}
    return complete, [_unmatched(claim, worst) for claim in claims]


def _unmatched(claim: Claim, worst: Mapping[str, Mismatch]) -> Claim:
    variants = (claim.candidate[0], claim.reference[0])
    # Two candidates that each match the reference match each other.
    mismatch = next((worst[variant] for variant in variants if variant in worst), None)
    if mismatch is None or variants[0] == variants[1]:
        return claim
    return replace(claim, verdict="not comparable", reason=f"{UNMATCHED}: {mismatch}")


def _marked(row: Row, failed: Mapping[tuple[str, str], bool]) -> Row:
    if row.seed is None or row.measurement.status != "ok" or not failed.get((row.variant, row.seed), False):
        return row
    return replace(row, measurement=replace(row.measurement, status="failed-run"))


def counts(
    cells: Sequence[Cell], stored: Mapping[str, StoredCell], cached: Iterable[str], errors: Iterable[str]
) -> dict[str, Any]:
    """Return the ``cells`` part of the verdict: planned = cached + done + errors + pending."""
    before = set(cached)
    broken = set(errors) - set(stored)
    done = sum(1 for cell in cells if cell.id in stored and cell.id not in before)
    known = sum(1 for cell in cells if cell.id in before)
    return {
        "planned": len(cells),
        "cached": known,
        "done": done,
        "errors": len(broken),
        "pending": len(cells) - known - done - len(broken),
    }
