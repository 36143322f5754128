"""Rows of a file with their line numbers: csv, tsv (no quoting), jsonl, parquet; every bad row is named."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError, Problem, suggestion
from stabbench.suite.schema import SplitFile

SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class RawRow:
    """One row before its label is known as an index.

    Attributes:
        line: 1-based line in the file (parquet: row number).
        text: the text, or the first of a pair.
        pair: the second text, or None.
        label: the label as text.
    """

    line: int
    text: str
    pair: str | None
    label: str


@dataclass
class _Problems:
    """Bad rows of one file."""

    file: str
    found: list[Problem] = field(default_factory=list)

    def add(self, line: int | None, message: str) -> None:
        self.found.append(Problem(message, self.file, line))

    def raise_if_any(self) -> None:
        if not self.found:
            return
        shown = self.found[:SHOWN_PROBLEMS]
        rest = len(self.found) - len(shown)
        more = [Problem(f"… and {rest} more bad rows", self.file)] if rest else []
        raise ConfigurationError(
            [*shown, *more], note="No row is dropped silently: mend or remove these. Nothing was run."
        )


def read_rows(path: Path, split: SplitFile) -> list[RawRow]:
    """Return all rows of a split's file.

    Raises:
        ConfigurationError: the file is missing, of an unknown kind, lacks a column, or holds bad rows (all are named).
    """
    problems = _Problems(str(path))
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(
            [Problem(f"unknown kind of file '{path.suffix}'; expected {', '.join(READERS)}", str(path))]
        )
    if not path.is_file():
        raise ConfigurationError(
            [Problem("no such file; paths are relative to data.root, by default the suite's folder", str(path))]
        )
    rows = [row for line, record in reader(path, split, problems) if (row := _row(line, record, split, problems))]
    problems.raise_if_any()
    return rows


def _row(line: int, record: Mapping[str, Any], split: SplitFile, problems: _Problems) -> RawRow | None:
    texts = [_text(line, record, column, problems) for column in (split.text, split.text_pair) if column is not None]
    label = _label(line, record, split.label, problems)
    if label is None or None in texts:
        return None
    first, *second = [text for text in texts if text is not None]
    return RawRow(line, first, second[0] if second else None, label)


def _text(line: int, record: Mapping[str, Any], column: str, problems: _Problems) -> str | None:
    value = record.get(column)
    if not isinstance(value, str):
        problems.add(
            line, f"column '{column}' holds {'nothing' if value is None else type(value).__name__}, expected text"
        )
        return None
    if not value.strip():
        problems.add(line, f"column '{column}' is empty")
        return None
    return value


def _label(line: int, record: Mapping[str, Any], column: str, problems: _Problems) -> str | None:
    value = record.get(column)
    if value is None or isinstance(value, list | dict) or (isinstance(value, float) and value != value):
        problems.add(line, f"column '{column}' has no label")
        return None
    # A whole number written as a float (a parquet or JSON habit) is the same class as the integer.
    label = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
    if not label:
        problems.add(line, f"column '{column}' has an empty label")
        return None
    return label


def _columns(split: SplitFile) -> list[str]:
    return [column for column in (split.text, split.text_pair, split.label) if column is not None]


def _check_columns(found: list[str], split: SplitFile, problems: _Problems) -> None:
    for column in _columns(split):
        if column not in found:
            problems.add(1, f"no column '{column}'.{suggestion(column, found)} Columns: {', '.join(found)}.")
    problems.raise_if_any()


def _decoded(path: Path, problems: _Problems) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.add(content[: error.start].count(b"\n") + 1, "is not UTF-8; save the file as UTF-8")
        problems.raise_if_any()
        raise AssertionError from error


def _tsv(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Tabs separate, quotes are ordinary characters: texts hold bare ``"``, and default quoting would merge rows."""
    lines = _decoded(path, problems).split("\n")
    header = lines[0].rstrip("\r").split("\t")
    _check_columns(header, split, problems)
    for number, line in enumerate(lines[1:], 2):
        if not line.rstrip("\r") and number == len(lines):
            continue
        values = line.rstrip("\r").split("\t")
        if len(values) != len(header):
            problems.add(number, f"{len(values)} columns, the header has {len(header)}")
            continue
        yield number, dict(zip(header, values, strict=True))


def _csv(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(_decoded(path, problems), newline=""), strict=True)
    try:
        header = next(reader, [])
        _check_columns(header, split, problems)
        start = reader.line_num + 1
        for values in reader:
            if values and len(values) != len(header):
                problems.add(start, f"{len(values)} columns, the header has {len(header)}")
            elif values:
                yield start, dict(zip(header, values, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        problems.add(reader.line_num, f"is not valid CSV: {error}")


def _jsonl(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_decoded(path, problems).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            problems.add(number, f"is not JSON: {error}")
            continue
        if not isinstance(record, dict):
            problems.add(number, f"is {type(record).__name__}, expected an object")
            continue
        missing = [column for column in _columns(split) if column not in record]
        if missing:
            known = ", ".join(map(str, record))
            problems.add(number, f"has no '{missing[0]}'.{suggestion(missing[0], map(str, record))} Keys: {known}.")
            continue
        yield number, record


def _parquet(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        names = parquet.read_schema(path).names
        _check_columns(list(names), split, problems)
        table = parquet.read_table(path, columns=_columns(split))
    except pa.ArrowInvalid as error:
        problems.add(None, f"is not a parquet file: {error}")
        return
    yield from enumerate(table.to_pylist(), 1)


Reader = Callable[[Path, SplitFile, _Problems], Iterator[tuple[int, dict[str, Any]]]]
READERS: Mapping[str, Reader] = {".csv": _csv, ".tsv": _tsv, ".jsonl": _jsonl, ".parquet": _parquet}
