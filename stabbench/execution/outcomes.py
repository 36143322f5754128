"""What each finished checkpoint got on each text, from the files of its cells: the claims rest on that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabbench.claims.table import Outcome, Outcomes
from stabbench.records import Cell, Coordinate, canonical
from stabbench.store.cells import StoredCell

Found = Iterator[tuple[str, Mapping[str, Coordinate], Outcome]]


def outcomes(cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> Outcomes:
    """Return (metric, place, group) → values by text, for every probe whose cells hold them."""
    readers = {"accuracy": _accuracy, "noise": _noise, "attack": _attack}
    found = {}
    for cell in cells:
        if cell.id in stored and cell.probe in readers:
            for metric, at, outcome in readers[cell.probe](stored[cell.id], cell):
                found[metric, canonical(dict(at)), (cell.variant, cell.compression)] = outcome
    return found


def _accuracy(stored: StoredCell, cell: Cell) -> Found:
    with np.load(stored.folder / "predictions.npz") as arrays:
        right = arrays["predicted"] == arrays["label"]
        yield "accuracy", {}, _outcome(arrays["example"], right, len(right))


def _noise(stored: StoredCell, cell: Cell) -> Found:
    planned = int(cell.options["examples"])
    with np.load(stored.folder / "noise.npz") as arrays:
        texts, clean = arrays["example"], arrays["clean"]
        right, flipped = arrays["predicted"] == arrays["label"], arrays["predicted"] != clean
        for k, kind in enumerate(arrays["kinds"].tolist()):
            for s, severity in enumerate(arrays["severities"].tolist()):
                at: dict[str, Coordinate] = {"kind": kind, "severity": severity}
                yield "noise.accuracy", at, _outcome(texts, right[k, s], planned)
                yield "noise.flip_rate", at, _outcome(texts, flipped[k, s], planned)
        yield "noise.accuracy", {}, _outcome(texts, right.mean(axis=(0, 1)), planned)
        yield "noise.flip_rate", {}, _outcome(texts, flipped.mean(axis=(0, 1)), planned)
        worst = (clean == arrays["label"]) & right.all(axis=(0, 1))
        yield "noise.worst_case", {}, _outcome(texts, worst, planned)


def _attack(stored: StoredCell, cell: Cell) -> Found:
    """Rows of recipes that change answers; texts without words, and those on which the attack raised, are left out."""
    planned = int(cell.options["examples"])
    lines = (stored.folder / "attack.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [row for line in lines if line and (row := json.loads(line))["words"] and row["outcome"] != "error"]
    measured = [m for m in stored.measurements if m.metric == "attack.accuracy_under_attack" and m.value is not None]
    for at in (m.at for m in measured):
        # Rows name their constraints where a recipe was run under several.
        place = (at["recipe"], at.get("constraints", "recipe"))
        mine = [row for row in rows if (row["recipe"], row.get("constraints", "recipe")) == place]
        tried = [row for row in mine if row["outcome"] != "skipped"]
        yield "attack.accuracy_under_attack", at, _of_rows(mine, "failed", planned)
        yield "attack.success_rate", at, _of_rows(tried, "success", planned)


def _of_rows(rows: Sequence[Mapping[str, Any]], outcome: str, planned: int) -> Outcome:
    texts = np.array([row["example"] for row in rows], dtype=np.str_)
    return _outcome(texts, np.array([row["outcome"] == outcome for row in rows], dtype=bool), planned)


def _outcome(texts: NDArray[np.str_], values: NDArray[Any], planned: int) -> Outcome:
    return Outcome(texts, values.astype(np.float64), planned)
