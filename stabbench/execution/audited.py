"""What a run of finished checkpoints adds to its verdict: which they are, whether one has collapsed, what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.planning.plan import Plan
from stabbench.planning.trials import arms
from stabbench.records import DENSE, Cell, Row
from stabbench.report.findings import findings
from stabbench.store.cells import StoredCell

WORSE_THAN_SWAPPED = 0.1
"""Share by which accuracy must rise under exchanged labels before the reader is told that their order may be wrong."""


def audited(plan: Plan, rows: Sequence[Row], stored: Mapping[str, StoredCell]) -> dict[str, Any] | None:
    """Return the ``audit`` part of a verdict, or None where the run trained models.

    ``checkpoints`` variant → source, outputs (label of each), outputs_note, classes, collapsed (why, or null) and order
    (a doubt about the order of its labels, or null); ``found`` the summary table: see `report.findings`.
    """
    suite = plan.loaded.suite
    if not suite.of_checkpoints:
        return None
    names = [arm.variant for arm in arms(suite)]
    told = {}
    for cell in plan.cells:
        if cell.kind == "train" and cell.id in stored:
            details = stored[cell.id].details
            told[cell.variant] = {
                **{name: details[name] for name in ("source", "outputs", "outputs_note", "classes", "max_length")},
                "collapsed": details["failed_reason"],
                "order": _doubt(plan.cells, stored, cell.variant),
            }
    return {"checkpoints": told, "found": [finding.as_dict() for finding in findings(rows, names)]}


def _doubt(cells: Sequence[Cell], stored: Mapping[str, StoredCell], variant: str) -> str | None:
    """Say that another order of the labels would fit the answers better, or return None."""
    for cell in cells:
        if (cell.probe, cell.variant, cell.compression) == ("accuracy", variant, DENSE) and cell.id in stored:
            with np.load(stored[cell.id].folder / "predictions.npz") as arrays:
                names = [str(name) for name in arrays["classes"]]
                return order_doubt(arrays["label"], arrays["predicted"], names)
    return None


def order_doubt(label: np.ndarray, predicted: np.ndarray, names: Sequence[str]) -> str | None:
    """Return a doubt about the order of the labels, where exchanging them raises accuracy by a tenth or more.

    Args:
        label: (N,) right classes.
        predicted: (N,) answers; −1 is none.
        names: labels of the classes.
    """
    from scipy.optimize import linear_sum_assignment

    answered = predicted >= 0
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(counts, (predicted[answered], label[answered]), 1)
    outputs, best = linear_sum_assignment(-counts)
    now, then = np.trace(counts) / max(len(label), 1), counts[outputs, best].sum() / max(len(label), 1)
    if then - now < WORSE_THAN_SWAPPED:
        return None
    moved = [(int(i), int(j)) for i, j in zip(outputs, best, strict=True) if i != j]
    swapped = ", ".join(f"'{names[i]}' for '{names[j]}'" for i, j in moved)
    return f"accuracy is {now:.3f}, and would be {then:.3f} with {swapped}: are the labels in the right order?"
