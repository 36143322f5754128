"""Runs whose cells were written and not computed: real plans, keys and weights files, no torch; they can be sharded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stabbench.planning.cells import cells
from stabbench.planning.keys import cell_key
from stabbench.planning.selection import selected
from stabbench.records import Cell, Measurement, Row
from stabbench.runner import RunOptions, run
from stabbench.store.cells import Store
from stabbench.store.run_folder import RunFolder
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: sharded
data: {source: builtin:tiny, train: 16, test: 40}
model: builtin:tiny
seeds: 4
variants: {baseline: {}, stabilized: {stabilizers: [{warmup: {}}]}}
probes: {accuracy: {}}
compare: {primary: [accuracy, train.failed]}
"""


def write_cells(
    store: Store, suite: Path, select: str | None = None, *, draw: int = 0, static: Mapping[str, Any] | None = None
) -> None:
    """Write the selected cells of a suite as if they had been done.

    Args:
        store: where to.
        suite: the suite file.
        select: as ``--select``.
        draw: trained weights differ between draws, as between machines that compute differently.
        static: what was different where the cells were made, such as ``{"device": "cuda"}``.
    """
    weights: dict[str, str | None] = {}
    for planned in selected(cells(load_suite(str(suite))), select):
        cell = Cell(**{**vars(planned), "static": {**planned.static, **(static or {})}})
        key = cell_key(cell, weights)
        assert key is not None
        with store.draft(key) as draft:
            rows, details = (_train if cell.kind == "train" else _accuracy)(draft, cell, draw)
            weights[cell.id] = details.get("weights")
            store.finish(draft, key, cell, rows, details, 1.0, {})


def shard(folder: Path, name: str = "run", select: str | None = None, suite: str = SUITE, **written: Any) -> RunFolder:
    """Write the selected cells into a folder's own store, and run the suite there: all are found, none is done."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "sharded.yaml"
    file.write_text(suite, encoding="utf-8")
    store = folder / ".stabbench" / "store"
    write_cells(Store(store), file, select, **written)
    outcome = run(RunOptions(suite=str(file), select=select, store=store, out=folder / "runs" / name))
    return RunFolder(outcome.folder.path)


def _train(draft: Path, cell: Cell, draw: int) -> tuple[list[Row], dict[str, Any]]:
    content = f"{cell.variant} {cell.seed} {draw}".encode()
    (draft / "model").mkdir()
    (draft / "model" / "model.safetensors").write_bytes(content)
    details = {
        "weights": hashlib.sha256(content).hexdigest(),
        "hashes": {"init": "a" * 64, "order": ["b" * 64], "dropout": "c" * 64},
        "failed": False, "failed_reason": None, "classes": ["bad", "good"],
    }  # fmt: skip
    return [_row(cell, "train.failed", 0.0)], details


def _accuracy(draft: Path, cell: Cell, draw: int) -> tuple[list[Row], dict[str, Any]]:
    rng = np.random.default_rng([int(cell.seed), cell.variant == "stabilized"])
    label = np.arange(40) % 2
    predicted = np.where(rng.random(40) < (0.75 if cell.variant == "stabilized" else 0.7), label, 1 - label)
    np.savez(
        draft / "predictions.npz", example=np.array([f"e{i}" for i in range(40)]), label=label, predicted=predicted
    )
    return [_row(cell, "accuracy", float((label == predicted).mean()))], {}


def _row(cell: Cell, metric: str, value: float) -> Row:
    return Row(cell.variant, cell.seed, "dense", cell.probe, Measurement(metric, value, "share", "higher", {}, 40, 40))
