"""``stabbench export``: a finished run in the formats of other tools. Needs no model and no torch."""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError, unknown_name
from stabbench.records import finite
from stabbench.report.benchmark_json import benchmark_entries
from stabbench.report.junit import junit_xml
from stabbench.report.markdown import summary_markdown
from stabbench.store.cells import StoredCell
from stabbench.store.run_folder import COLUMNS, RunFolder


def export(run: RunFolder, name: str) -> bytes:
    """Return a run in the format of that name.

    Raises:
        ConfigurationError: there is no such format, or the run has nothing to give in it.
    """
    if name not in FORMATS:
        raise ConfigurationError([f"--format: {unknown_name('format', name, FORMATS)}"], note="Nothing was written.")
    return FORMATS[name](run)


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        ConfigurationError: it cannot be written.
    """
    draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        os.replace(draft, target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        message = f"--output {target}: cannot be written: {error.strerror}"
        raise ConfigurationError([message], note="Nothing was written.") from error


def _junit(run: RunFolder) -> bytes:
    return junit_xml(run.verdict, [(cell, error["message"]) for cell, error in run.errors.items()]).encode()


def _markdown(run: RunFolder) -> bytes:
    return summary_markdown(run.verdict).encode()


def _github_benchmark(run: RunFolder) -> bytes:
    return _json(benchmark_entries(run.verdict))


def _csv(run: RunFolder) -> bytes:
    """Measurements with the columns of the Parquet file; unknown is empty, NaN and infinities are words."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in run.rows:
        writer.writerow({name: finite(value) for name, value in row.as_dict().items()})
    return stream.getvalue().encode("utf-8", "backslashreplace")


def _parquet(run: RunFolder) -> bytes:
    return (run.path / "measurements.parquet").read_bytes()


def _pytest_benchmark(run: RunFolder) -> bytes:
    """Return the latency panel as one document of pytest-benchmark, as ``pytest-benchmark compare`` reads it.

    Each fresh process has left a document; here a benchmark is named by its process, shape and subject.
    """
    cell = run.cell("latency")
    if cell is None:
        message = f"run {run.path.name} has no finished latency cell; add `latency` to the suite's probes and run it"
        raise ConfigurationError([message], note="Nothing was written.")
    files = sorted(cell.folder.glob("rounds-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
    if not files:
        message = f"run {run.path.name} timed no rounds in a panel; its latency scenarios have processes of their own"
        raise ConfigurationError([message], note="Nothing was written.")
    documents = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    subjects = _subjects(run, cell)
    benchmarks = [
        item for process, document in enumerate(documents) for item in _benchmarks(document, process, subjects)
    ]
    return _json({**documents[0], "benchmarks": benchmarks})


def _subjects(run: RunFolder, cell: StoredCell) -> list[str]:
    """Return who was timed, by index, under this run's names: the cell may have been made for another suite."""
    planned = next(item for item in run.plan["cells"] if item["id"] == "latency")["options"]["members"]
    names = {tuple(old): tuple(new) for old, new in zip(cell.record["options"]["members"], planned, strict=True)}
    timed = json.loads((cell.folder / "latency.json").read_text(encoding="utf-8"))["processes"][0]["subjects"]
    found = {}
    for item in timed:
        old = (item["variant"], item["seed"], item["compression"])
        variant, _, compression = names.get(old, old)
        found[old, item["replicate"]] = f"{variant}@{compression}" + (" (A/A replicate)" if item["replicate"] else "")
    return list(found.values())


def _benchmarks(document: Mapping[str, Any], process: int, subjects: list[str]) -> Iterator[dict[str, Any]]:
    for item in document["benchmarks"]:
        info = item["extra_info"]
        shape = f"batch {info['batch']}, length {info['length'] or 'as it comes'}"
        who, turn = "tokenization", ""
        if info["kind"] == "turn":
            who, turn = subjects[info["subject"]], f", turn {info['block']}"
        name = f"{who}, {shape}, process {process}{turn}"
        more = {"process": process, "name": who}
        yield {**item, "group": shape, "name": name, "fullname": name, "extra_info": {**info, **more}}


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


FORMATS: Mapping[str, Callable[[RunFolder], bytes]] = {
    "junit": _junit,
    "markdown": _markdown,
    "github-benchmark": _github_benchmark,
    "csv": _csv,
    "parquet": _parquet,
    "pytest-benchmark": _pytest_benchmark,
}
BINARY = ("parquet",)
