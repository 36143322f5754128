"""``stabbench ls``: the runs here and the store, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.store.run_list import RunSummary

HEAD = ("run", "started", "suite", "status", "cells", "failed runs", "primary claims", "gate")


def listing_text(runs: Sequence[RunSummary], store: Mapping[str, Any]) -> str:
    """Return a table of runs, the newest first, and a line about the store."""
    rows = [HEAD, *map(_row, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not runs:
        lines = ["no run below runs/ here; begin with: stabbench run"]
    return "\n".join([*lines, f"store: {store['path']}, {store['cells']} cells, {store['bytes'] / 1e6:.0f} MB"])


def _row(run: RunSummary) -> tuple[str, ...]:
    cells = run.cells
    done = "–" if cells is None else f"{cells['cached'] + cells['done']}/{cells['planned']}"
    failed = ", ".join(f"{variant} {k}/{n}" for variant, (k, n) in run.failed_runs.items())
    claims = "never a verdict" if run.smoke else _counted(run.verdicts)
    started = run.started[:16].replace("T", " ")
    return (run.name, started or "–", run.suite, run.status, done, failed or "–", claims or "–", _counted(run.gate))


def _counted(words: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in words.items())
