"""A run's folder: the resolved suite, the plan, the events, the measurements, the verdict and the report."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.records import Measurement, Row, finite
from stabbench.store.cells import Store, StoredCell

COLUMNS = (
    "variant", "seed", "compression", "probe", "metric", "at", "value", "unit", "better", "n_used", "n_planned",
    "status",
)  # fmt: skip


class RunFolder:
    """Reads and writes ``runs/<UTC>-<suite>/``; every file is replaced whole, events are appended line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(cls, name: str) -> RunFolder:
        """Return the run of that path, or of that name below ``runs/``.

        Raises:
            ConfigurationError: there is none; the message lists the newest runs here.
        """
        for path in (Path(name), Path("runs") / name):
            if (path / "plan.json").exists():
                return cls(path)
        known = sorted((p.parent.name for p in Path("runs").glob("*/plan.json")), reverse=True)[:5]
        found = f"Newest runs here: {', '.join(known)}." if known else "There is no run below runs/ here."
        raise ConfigurationError([f"no run '{name}'. {found} Give a run's folder or its name."])

    @cached_property
    def plan(self) -> dict[str, Any]:
        """The plan with each cell's key and state."""
        return self._json("plan.json")

    @cached_property
    def verdict(self) -> dict[str, Any]:
        """The verdict document."""
        return self._json("verdict.json")

    @cached_property
    def environment(self) -> dict[str, Any]:
        """Machine, versions, commit, command."""
        return self._json("environment.json")

    @cached_property
    def suite(self) -> dict[str, Any]:
        """The resolved suite."""
        from ruamel.yaml import YAML

        content: dict[str, Any] = YAML(typ="safe").load((self.path / "suite.resolved.yaml").read_text(encoding="utf-8"))
        return content

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        """Everything that happened, in order; a torn last line (the process was killed) is left out."""
        file = self.path / "events.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
        return [event for line in lines if (event := _parsed(line)) is not None]

    @cached_property
    def errors(self) -> dict[str, dict[str, str]]:
        """Cell → the last error of each cell that ended in one and was not mended since."""
        broken = {cell["id"] for cell in self.plan["cells"] if cell["state"] == "error"}
        return {e["cell"]: e["error"] for e in self.events if e["event"] == "cell-error" and e["cell"] in broken}

    @cached_property
    def rows(self) -> list[Row]:
        """All measurements, in the order they were written."""
        return read_rows(self.path / "measurements.parquet")

    @cached_property
    def store(self) -> Store:
        """The store the run's cells are in."""
        return Store(Path(self.plan["store"]))

    def cell(self, cell_id: str) -> StoredCell | None:
        """Return the stored cell of a logical id, or None where it was not finished."""
        key = self._keys.get(cell_id)
        return None if key is None else self.store.get(key)

    @cached_property
    def _keys(self) -> dict[str, str | None]:
        return {cell["id"]: cell["key"] for cell in self.plan["cells"]}

    def append(self, event: Mapping[str, Any]) -> None:
        """Append one event and flush it."""
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(finite(event), ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Replace a JSON file of the run."""
        self.write_text(name, json.dumps(finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Replace a text file of the run."""
        draft = self.path / f".{name}.{uuid.uuid4().hex[:8]}"
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, self.path / name)

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Replace ``measurements.parquet``."""
        draft = self.path / f".measurements.{uuid.uuid4().hex[:8]}"
        write_rows(draft, rows)
        os.replace(draft, self.path / "measurements.parquet")

    def _json(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return content


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as Parquet with the columns of DESIGN §10; NaN (data) and null (unknown) stay apart."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    types = {name: pa.string() for name in COLUMNS} | {
        "value": pa.float64(),
        "n_used": pa.int64(),
        "n_planned": pa.int64(),
    }
    records = [row.as_dict() for row in rows]
    columns = [pa.array([record[name] for record in records], type=types[name]) for name in COLUMNS]
    parquet.write_table(pa.table(columns, names=list(COLUMNS)), path)


def read_rows(path: Path) -> list[Row]:
    """Read rows written by `write_rows`."""
    import pyarrow.parquet as parquet

    return [_row(record) for record in parquet.read_table(path).to_pylist()]


def _row(record: Mapping[str, Any]) -> Row:
    measurement = Measurement(
        metric=record["metric"],
        value=record["value"],
        unit=record["unit"],
        better=record["better"],
        at=json.loads(record["at"]),
        n_used=record["n_used"],
        n_planned=record["n_planned"],
        status=record["status"],
    )
    return Row(record["variant"], record["seed"], record["compression"], record["probe"], measurement)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return event
