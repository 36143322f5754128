"""What a run's numbers were made from, for comparison with other runs: written into ``plan.json`` under ``facts``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.execution.matching import Mismatch
from stabbench.records import Cell
from stabbench.store.cells import StoredCell
from stabbench.suite.fingerprint import test_fingerprint
from stabbench.suite.load import LoadedSuite

HEX = 16
"""Digits kept of each hash: 64 bits tell any number of runs apart, and a baseline stays small."""


def facts_of(
    loaded: LoadedSuite, cells: Sequence[Cell], stored: Mapping[str, StoredCell], unmatched: Iterable[Mismatch]
) -> dict[str, Any]:
    """Return the facts of a run: fingerprints, versions, options of probes, and each trial's hashes.

    Args:
        loaded: the suite, for where its test texts come from.
        cells: all cells of the plan.
        stored: the finished ones, by id.
        unmatched: trials that do not match the reference's.

    Returns:
        ``task data test model engine device precision threads libraries instruction_set hardware compressors probes
        trials unmatched``; `test` is a hash of the test examples, None where none were predicted.
    """
    train = [cell for cell in cells if cell.kind == "train"]
    if not train:
        return {}
    shared = train[0].static
    return {
        **{name: shared[name] for name in ("task", "data", "model", "engine", "device")},
        "test": _test_examples(loaded, cells, stored),
        "precision": sorted({cell.options["train"]["precision"] for cell in train}),
        "threads": sorted({cell.options["train"]["threads"] for cell in train}),
        "libraries": {name: version for cell in cells for name, version in cell.static["libraries"].items()},
        "instruction_set": _first(cells, "instruction_set"),
        "hardware": _first(cells, "hardware"),
        "compressors": {stage[0]: stage[1] for cell in cells for stage in cell.static.get("compression", ())},
        "probes": {cell.probe: _instrument(cell) for cell in cells if cell.kind != "train"},
        "trials": _trials(train, stored),
        "unmatched": {mismatch.variant: str(mismatch) for mismatch in unmatched},
    }


def _first(cells: Iterable[Cell], name: str) -> Any:
    return next((cell.static[name] for cell in cells if name in cell.static), None)


def _instrument(cell: Cell) -> dict[str, Any]:
    """What decides how a probe measures: its version, its options, the versions of the plug-ins that it uses."""
    _, version, options = cell.static["probe"]
    return {"version": version, "options": options, "uses": cell.static.get("uses", {})}


def _trials(train: Iterable[Cell], stored: Mapping[str, StoredCell]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for cell in train:
        if cell.id in stored:
            details = stored[cell.id].details
            hashes = details["hashes"]
            found.setdefault(cell.variant, {})[cell.seed] = {
                "init": hashes["init"][:HEX],
                "order": [epoch[:HEX] for epoch in hashes["order"]],
                "dropout": hashes["dropout"][:HEX],
                "weights": details["weights"][:HEX],
            }
    return found


def _test_examples(loaded: LoadedSuite, cells: Iterable[Cell], stored: Mapping[str, StoredCell]) -> str | None:
    """Return a hash of the test split, as the first accuracy cell saw it: all cells of a run see the same.

    Ids and labels say which texts; the fingerprint of their source says that the texts are the same.
    """
    source = test_fingerprint(loaded.suite.data, loaded.path.parent)
    for cell in cells:
        if cell.probe == "accuracy" and cell.id in stored:
            with np.load(stored[cell.id].folder / "predictions.npz") as arrays:
                pairs = zip(arrays["example"].tolist(), arrays["label"].tolist(), strict=True)
                text = "\n".join([source, *(f"{example}\t{label}" for example, label in pairs)])
            return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:HEX]
    return None
