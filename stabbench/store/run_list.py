"""The runs below a folder and the size of a store, read from the small files alone: no cell is opened."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stabbench.store.cells import process_alive
from stabbench.store.run_folder import RunFolder

RUNS = Path("runs")


@dataclass(frozen=True)
class RunSummary:
    """What a list of runs shows of one.

    Attributes:
        name: the folder's name, by which other commands find it.
        path: the folder.
        suite: the suite's name.
        started: when, as ISO 8601 text in UTC; empty where it is not known.
        status: of the verdict; ``running``, or ``killed`` where no verdict was written.
        cells: as in the verdict; None without one.
        failed_runs: variant → [failed, finished runs].
        verdicts: word → number of primary claims with it.
        gate: outcome → number of gate rules that came to it.
        smoke: whether it is a smoke run, which is never a verdict.
    """

    name: str
    path: str
    suite: str
    started: str
    status: str
    cells: dict[str, int] | None
    failed_runs: dict[str, list[int]]
    verdicts: dict[str, int]
    gate: dict[str, int]
    smoke: bool


def run_summaries(folder: Path = RUNS) -> list[RunSummary]:
    """Return the runs in a folder, the newest first; what is no run, or was never begun, is left out."""
    found = [_summary(path.parent) for path in folder.glob("*/environment.json")]
    return sorted((run for run in found if run is not None), key=lambda run: (run.started, run.name), reverse=True)


def newest_run(folder: Path = RUNS) -> RunFolder | None:
    """Return the run with a verdict that was started last, or None; smoke runs do not count."""
    found = (run for run in run_summaries(folder) if run.cells is not None and not run.smoke)
    first = next(found, None)
    return None if first is None else RunFolder(Path(first.path))


def store_size(root: Path) -> dict[str, Any]:
    """Return the number of finished cells of a store and its bytes on disk, trained weights included."""
    folders = list((root / "cells").glob("??/*"))
    return {"path": str(root), "cells": len(folders), "bytes": sum(map(_bytes, folders))}


def _summary(folder: Path) -> RunSummary | None:
    environment = _read(folder / "environment.json")
    if environment is None:
        return None
    verdict = _read(folder / "verdict.json")
    known = verdict or {}
    return RunSummary(
        name=folder.name,
        path=str(folder),
        suite=known.get("suite") or _suite_name(folder),
        started=str(environment.get("started", "")),
        status=known["status"] if verdict else _without_verdict(folder),
        cells=known.get("cells"),
        failed_runs=known.get("failed_runs", {}),
        verdicts=dict(Counter(claim["verdict"] for claim in known.get("claims", ()) if claim["primary"])),
        gate=dict(Counter(item["outcome"] for item in known.get("gate", ()))),
        smoke=bool(environment.get("smoke")),
    )


def _without_verdict(folder: Path) -> str:
    """Say whether the process that began the run last is still there."""
    started = [event for event in RunFolder(folder).events if event.get("event") == "run-started"]
    return "running" if started and process_alive(int(started[-1]["pid"])) else "killed"


def _suite_name(folder: Path) -> str:
    """Read the name off the resolved suite without a YAML parser, which takes longer to load than all else here."""
    try:
        text = (folder / "suite.resolved.yaml").read_text(encoding="utf-8")
    except OSError:
        return "–"
    match = re.search(r"^name: (\S+)$", text, re.MULTILINE)
    return match[1].strip("'\"") if match else "–"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _bytes(folder: Path) -> int:
    """Bytes of all files below a folder; what disappears meanwhile counts nothing."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.stat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total
