"""The same trial twice must give the same numbers: runs that lie side by side tell where it did not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stabbench.diagnosis.finding import Evidence, Finding, Remedy
from stabbench.store.run_folder import RunFolder

NAME, NUMBER = "nondeterminism", 15
VARYING = ("train.seconds", "train.steps_per_second", "train.peak_memory")
"""Measurements of the machine, not of the training."""
SIBLINGS = 20
AGAIN = "trained again, the weights differ"
"""What the work on a cell says where a repeated training gives other weights (`execution/perform.py`)."""


def nondeterminism(run: RunFolder) -> Iterator[Finding]:
    """Yield one finding per trial that gave other numbers, or other weights, when it was done again.

    Compared are the runs beside this one, the newest 20: a training of the same key has the same options, seed, data
    and versions. Only what ``--fresh`` or another store has done again can differ; a cached cell is the same cell.
    """
    mine = _numbers(run)
    seen: set[str] = set()
    for other in _siblings(run):
        for cell, (key, numbers) in _numbers(other).items():
            here = next((name for name, (k, _) in mine.items() if k == key), None)
            if here is None or here in seen or not numbers:
                continue
            known = mine[here][1]
            differing = sorted(name for name in numbers.keys() & known.keys() if numbers[name] != known[name])
            if differing:
                seen.add(here)
                first = differing[0]
                text = (
                    f"the same training ({cell} of {other.path.name}, same key) gave {first} = "
                    f"{numbers[first]:.6g}, here {known[first]:.6g}; {len(differing)} numbers differ"
                )
                evidence = Evidence(text, {"here": known[first], "there": numbers[first]})
                yield _finding(here, evidence)
    for event in run.events:
        error = event.get("error", {})
        if event.get("event") == "cell-error" and AGAIN in str(error.get("message", "")):
            cell = str(error["message"]).split(":")[0]
            if cell in mine and cell not in seen:
                seen.add(cell)
                yield _finding(cell, Evidence(str(error["message"])))


def _finding(cell: str, evidence: Evidence) -> Finding:
    _, variant, seed = cell.split("/", 2)
    return Finding(
        NAME,
        NUMBER,
        variant,
        (seed,),
        "two trainings of one seed, with the same options on the same machine, differ",
        "nondeterministic kernels, or memory that is written while it is read",
        (evidence,),
        (
            Remedy("torch.use_deterministic_algorithms(True), and CUBLAS_WORKSPACE_CONFIG=:4096:8 on a GPU"),
            Remedy("one thread", {"threads": 1}),
            Remedy("until then count the difference as noise of its own: one bit can act like another seed"),
        ),
    )


def _siblings(run: RunFolder) -> list[RunFolder]:
    folders: list[Path] = sorted(run.path.resolve().parent.glob("*/plan.json"), reverse=True)
    others = [file.parent for file in folders if file.parent != run.path.resolve()]
    return [RunFolder(path) for path in others[:SIBLINGS] if (path / "measurements.parquet").exists()]


def _numbers(run: RunFolder) -> dict[str, tuple[str, dict[str, float]]]:
    """Return id of a train cell → its key and its numbers that a repetition must give again, as this run wrote them."""
    cells = {(c["variant"], c["seed"]): c for c in run.plan["cells"] if c["kind"] == "train" and c["key"]}
    found: dict[str, tuple[str, dict[str, float]]] = {c["id"]: (c["key"], {}) for c in cells.values()}
    for row in run.rows:
        cell = cells.get((row.variant, row.seed or ""))
        m = row.measurement
        same = m.value is not None and m.value == m.value and m.metric not in VARYING
        if cell is not None and row.probe == "train" and same and m.value is not None:
            found[cell["id"]][1][f"{m.metric} {dict(m.at) or ''}".strip()] = m.value
    return found
