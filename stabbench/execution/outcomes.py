"""What finished checkpoints, and the seeds of a run, got on each text, from the files of their cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabbench.claims.table import Outcome, Outcomes, SeedOutcomes
from stabbench.data.group_terms import SLOTS
from stabbench.probes._swapped import Swapped
from stabbench.records import Cell, Coordinate, canonical
from stabbench.store.cells import StoredCell

Found = Iterator[tuple[str, Mapping[str, Coordinate], Outcome]]


def outcomes(cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> Outcomes:
    """Return (metric, place, group) → values by text, for every probe whose cells hold them."""
    readers = {
        "accuracy": _accuracy,
        "noise": _noise,
        "attack": _attack,
        "behavior": _behavior,
        "replay": _replay,
        "swaps": _swaps,
    }
    read = _read(cells, stored, readers)
    return {(metric, at, (cell.variant, cell.compression)): outcome for cell, metric, at, outcome in read}


def outcomes_of_seeds(cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> SeedOutcomes:
    """Return (metric, place, group, seed) → values by text under noise and attack."""
    read = _read(cells, stored, {"noise": _noise, "attack": _attack})
    return {(metric, at, (cell.variant, cell.compression), cell.seed): outcome for cell, metric, at, outcome in read}


def _read(
    cells: Iterable[Cell], stored: Mapping[str, StoredCell], readers: Mapping[str, Callable[[StoredCell, Cell], Found]]
) -> Iterator[tuple[Cell, str, str, Outcome]]:
    for cell in cells:
        if cell.id in stored and cell.probe in readers:
            for metric, at, outcome in readers[cell.probe](stored[cell.id], cell):
                yield cell, metric, canonical(dict(at)), outcome


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


def _behavior(stored: StoredCell, cell: Cell) -> Found:
    """Whether each case failed, of those that apply to the model."""
    with np.load(stored.folder / "behavior.npz") as arrays:
        cases, outcome = arrays["case"], arrays["outcome"]
        columns = {name: arrays[name] for name in ("type", "capability", "test")}
    for at in _places(stored, "behavior.failure_rate"):
        of = np.ones(len(cases), dtype=bool)
        for name, value in at.items():
            of &= columns[name] == value
        applies = of & (outcome >= 0)
        yield "behavior.failure_rate", at, _outcome(cases[applies], outcome[applies] == 1, int(of.sum()))


def _replay(stored: StoredCell, cell: Cell) -> Found:
    """Answers to the files' texts, each named by source and line; rates are over the texts that could mislead."""
    with np.load(stored.folder / "replay.npz") as arrays:
        found = {name: arrays[name] for name in ("source", "line", "label", "clean", "predicted", "changed", "misled")}
    texts = np.array([f"{s}:{n}" for s, n in zip(found["source"].tolist(), found["line"].tolist(), strict=True)])
    right = {name: found[name] == found["label"] for name in ("clean", "predicted")}
    held = right["clean"] & found["changed"]
    for at in _places(stored, "replay.accuracy"):
        of = found["source"] == at["source"] if at else np.ones(len(texts), dtype=bool)
        planned, tried, transferred = int(of.sum()), of & held, of & held & (found["misled"] == 1)
        yield "replay.clean_accuracy", at, _outcome(texts[of], right["clean"][of], planned)
        yield "replay.accuracy", at, _outcome(texts[of], right["predicted"][of], planned)
        yield "replay.success_rate", at, _outcome(texts[tried], ~right["predicted"][tried], planned)
        if (found["misled"][of] >= 0).any():
            yield "replay.transfer_rate", at, _outcome(texts[transferred], ~right["predicted"][transferred], planned)


def _swaps(stored: StoredCell, cell: Cell) -> Found:
    """The share of each sentence's answers that its terms change; one with more terms weighs more, as in the rate."""
    with np.load(stored.folder / "swaps.npz") as arrays:
        slots = [name.removeprefix("sentence_") for name in arrays.files if name.startswith("sentence_")]
        found = {
            slot: Swapped(
                tuple(arrays[f"terms_{slot}"].tolist()),
                *(arrays[f"{name}_{slot}"] for name in ("positive", "predicted", "label")),
            )
            for slot in slots
        }
        sentences = {
            slot: [f"{slot}:{n}:{text}" for n, text in enumerate(arrays[f"sentence_{slot}"])] for slot in slots
        }
    for at in _places(stored, "swaps.flip_rate"):
        of = [slot for slot in slots if not at or at["category"] in SLOTS[slot]]
        columns = {
            slot: found[slot].columns(str(at["category"]))[str(at["group"])] if "group" in at else slice(None)
            for slot in of
        }
        flipped = {slot: found[slot].flipped[:, columns[slot]] for slot in of}
        texts = np.array([name for slot in of for name in sentences[slot]], dtype=np.str_)
        sizes = np.concatenate([np.full(len(flipped[slot]), flipped[slot].shape[1]) for slot in of])
        shares = np.concatenate([flipped[slot].mean(axis=1) for slot in of])
        yield "swaps.flip_rate", at, _outcome(texts, shares * sizes / sizes.mean(), len(texts))


def _places(stored: StoredCell, metric: str) -> list[Mapping[str, Coordinate]]:
    """Return the coordinates at which a cell measured a metric."""
    return [m.at for m in stored.measurements if m.metric == metric]


def _of_rows(rows: Sequence[Mapping[str, Any]], outcome: str, planned: int) -> Outcome:
    texts = np.array([row["example"] for row in rows], dtype=np.str_)
    return _outcome(texts, np.array([row["outcome"] == outcome for row in rows], dtype=bool), planned)


def _outcome(texts: NDArray[np.str_], values: NDArray[Any], planned: int) -> Outcome:
    return Outcome(texts, values.astype(np.float64), planned)
