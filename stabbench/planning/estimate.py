"""How long a run will take and how much disk it needs, each with its basis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.planning.fingerprints import model_folder
from stabbench.planning.panel_time import panel_seconds
from stabbench.records import Cell
from stabbench.store.cells import Store
from stabbench.suite.load import LoadedSuite

# Seconds of one core per cell of `suites/quick.yaml`, from reports/quick (its cells' `seconds`): the first guess where
# the store has no history of a probe. Two trials side by side slow each other down a little, hence the 0.8 below.
FIRST_GUESS: dict[str, float] = {
    "train": 25.0, "checkpoint": 3.0,
    "accuracy": 0.2, "gradient": 1.0, "noise": 6.0, "attack": 4.0, "compression": 6.0,
}  # fmt: skip
UNKNOWN_PROBE = 10.0
TRAINED_EPOCH = 10.0
"""Seconds of an epoch in which a compressor trains with a teacher, in float32, on the few hundred texts of a suite."""
PARALLEL_EFFICIENCY = 0.8
BYTES_OF_MINILM = 91_000_000


@dataclass(frozen=True)
class Estimate:
    """Seconds of wall time, and what they were estimated from."""

    seconds: float
    basis: str


def estimate(loaded: LoadedSuite, pending: Iterable[Cell], store: Store, jobs: int) -> Estimate:
    """Return the expected wall time of the pending cells with `jobs` processes side by side."""
    todo = list(pending)
    if not todo:
        return Estimate(0.0, "everything is cached")
    history = _history(store, {str(cell.static["model"]) for cell in todo})
    known = [cell for cell in todo if cell.probe in history]
    seconds = {cell.id: first_guess(cell.probe, cell.static) * history.get(cell.probe, 1.0) for cell in todo}
    alone = sum(seconds[cell.id] for cell in todo if cell.worker == "exclusive")
    shared = sum(seconds.values()) - alone
    speed = 1.0 if jobs == 1 else jobs * PARALLEL_EFFICIENCY
    basis = f"history of this store for {len(known)} of {len(todo)} cells" if known else "no history here"
    rest = "" if len(known) == len(todo) else "; the rest by rates of the quick suite on two cores, expect ×½ to ×2"
    return Estimate(alone + shared / speed, basis + rest)


def first_guess(probe: str, static: Mapping[str, Any]) -> float:
    """Return the seconds of a cell by the rates above; of the latency panel by its own options and members.

    Making a compressed subject is counted with its `compression` probe, which every one has.
    """
    if probe == "latency":
        return panel_seconds(static["probe"][2], static["members"])
    seconds = FIRST_GUESS.get(probe, UNKNOWN_PROBE)
    if probe == "compression":
        options = [given for _, _, given in static["compression"]]
        seconds += TRAINED_EPOCH * sum(o.get("epochs", 0) + o.get("recover_epochs", 0) for o in options)
    return seconds


def _history(store: Store, models: set[str]) -> dict[str, float]:
    """Median over the store's cells of the same model, per probe, of seconds taken over seconds first guessed.

    A ratio, so that a panel of other scenarios or more members tells of this one too.
    """
    found: dict[str, list[float]] = {}
    for cell in store:
        static = cell.record["static"]
        if str(static.get("model")) in models:
            probe = str(cell.record["probe"])
            # A cell of an older version, or of a plug-in that is no longer there, may lack what a guess goes by.
            with suppress(KeyError, ConfigurationError):
                found.setdefault(probe, []).append(float(cell.record["seconds"]) / first_guess(probe, static))
    return {probe: median(values) for probe, values in found.items() if values}


def disk_bytes(loaded: LoadedSuite, pending: Iterable[Cell]) -> int:
    """Return the bytes that the pending trials' weights will take, by `keep_weights`."""
    suite = loaded.suite
    trials = [cell for cell in pending if cell.kind == "train"]
    kept = {"all": len(trials), "none": 0, "last": len({cell.variant for cell in trials})}[suite.keep_weights]
    folder = model_folder(suite.model, loaded.path.parent)
    size = BYTES_OF_MINILM if folder is None else _weights_size(folder)
    return kept * size


def _weights_size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))
