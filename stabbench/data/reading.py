"""Rows of a file with their line numbers: csv, tsv (no quoting), jsonl, parquet; every bad row is named.

Texts are kept exactly as they stand; ``NA``, ``null`` and bare quotes are text. A row that is not UTF-8 or holds a NUL
character is a bad row: tokenizers drop such characters in silence, and they nearly always mean a damaged file. Blank
lines are bad rows too, except at the end of a file.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from stabbench.errors import ConfigurationError, Problem, suggestion
from stabbench.suite.schema import SplitFile

T = TypeVar("T")
SHOWN_PROBLEMS = 20
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


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
        more = [Problem(f"… and {rest} more mistakes", self.file)] if rest else []
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


def read_objects(path: Path, keys: Sequence[str], parsed: Callable[[int, Mapping[str, Any]], T]) -> list[T]:
    """Return `parsed(line, object)` of every line of a JSONL file.

    Args:
        path: the file.
        keys: what every object must hold.
        parsed: makes a value of one object; a `ValueError` that it raises is that line's mistake.

    Raises:
        ConfigurationError: the file is missing or empty, or holds bad rows (all are named).
    """
    problems = _Problems(str(path))
    if not path.is_file():
        raise ConfigurationError([Problem("no such file; paths are relative to the suite file's folder", str(path))])
    found = []
    for line, record in _objects(path, keys, problems):
        try:
            found.append(parsed(line, record))
        except ValueError as error:
            problems.add(line, str(error))
    if not found and not problems.found:
        problems.add(None, "holds no row")
    problems.raise_if_any()
    return found


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
    if found := damage(value):
        problems.add(line, f"column '{column}' {found}")
        return None
    return value


def damage(text: str) -> str:
    """Say what makes a text unfit for any tokenizer, or return an empty string."""
    if "\x00" in text:
        return "holds a NUL character; the file is damaged or not UTF-8"
    if _HALF_CHARACTER.search(text):
        return "is not UTF-8; save the file as UTF-8"
    return ""


def _label(line: int, record: Mapping[str, Any], column: str, problems: _Problems) -> str | None:
    value = record.get(column)
    if value is None or isinstance(value, list | dict) or (isinstance(value, float) and value != value):
        problems.add(line, f"column '{column}' has no label")
        return None
    if isinstance(value, float) and not value.is_integer():
        problems.add(line, f"column '{column}' is {value}; a class is text or a whole number")
        return None
    # A whole number written as a float (a parquet or JSON habit) is the same class as the integer.
    label = (
        json.dumps(value) if isinstance(value, bool) else str(int(value)) if isinstance(value, float) else str(value)
    ).strip()
    if not label:
        problems.add(line, f"column '{column}' has an empty label")
        return None
    if found := damage(label):
        problems.add(line, f"column '{column}' {found}")
        return None
    return label


def _columns(split: SplitFile) -> list[str]:
    return [column for column in (split.text, split.text_pair, split.label) if column is not None]


def _check_columns(found: list[str], split: SplitFile, problems: _Problems) -> None:
    for column in _columns(split):
        if column not in found:
            listed = f"Columns: {', '.join(found)}." if any(found) else "The file is empty."
            problems.add(1, f"no column '{column}'.{suggestion(column, found)} {listed}")
        elif found.count(column) > 1:
            problems.add(1, f"column '{column}' stands {found.count(column)} times in the header; rename all but one")
    problems.raise_if_any()


def _decoded(path: Path, problems: _Problems) -> str:
    """Return the text; bytes that are not UTF-8 become half characters, by which each bad row is found."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        problems.add(1, "is UTF-16; save the file as UTF-8")
        problems.raise_if_any()
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _without_blank_end(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip("\r"):
        lines.pop()
    return lines


def _tsv(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    """Tabs separate, quotes are ordinary characters: texts hold bare ``"``, and default quoting would merge rows."""
    lines = _without_blank_end(_decoded(path, problems).split("\n")) or [""]
    header = lines[0].rstrip("\r").split("\t")
    _check_columns(header, split, problems)
    for number, line in enumerate(lines[1:], 2):
        values = line.rstrip("\r").split("\t")
        if len(values) != len(header):
            problems.add(number, _wrong_width(values, header))
            continue
        yield number, dict(zip(header, values, strict=True))


def _wrong_width(values: list[str], header: list[str]) -> str:
    if not any(values):
        return "a blank line"
    return f"{len(values)} column{'s' if len(values) != 1 else ''}, the header has {len(header)}"


def _csv(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(_decoded(path, problems), newline=""), strict=True)
    start = 1
    try:
        header = next(reader, [])
        _check_columns(header, split, problems)
        start = reader.line_num + 1
        blank: list[int] = []
        for values in reader:
            if not values:
                blank.append(start)
            else:
                # Blank lines are known not to be at the end only when a row follows them.
                for line in blank:
                    problems.add(line, "a blank line")
                blank = []
                if len(values) != len(header):
                    problems.add(start, _wrong_width(values, header))
                else:
                    yield start, dict(zip(header, values, strict=True))
            start = reader.line_num + 1
    except csv.Error as error:
        problems.add(start, f"is not valid CSV: {error}; is a quote missing? Nothing after this row was read")


def _jsonl(path: Path, split: SplitFile, problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from _objects(path, _columns(split), problems)


def _objects(path: Path, keys: Sequence[str], problems: _Problems) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_without_blank_end(_decoded(path, problems).split("\n")), 1):
        if not line.strip():
            problems.add(number, "a blank line")
            continue
        try:
            record = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            problems.add(number, f"is not JSON: {error}")
            continue
        if not isinstance(record, dict):
            problems.add(number, f"is {type(record).__name__}, expected an object")
            continue
        missing = [key for key in keys if key not in record]
        if missing:
            known = ", ".join(map(str, record))
            problems.add(number, f"has no '{missing[0]}'.{suggestion(missing[0], map(str, record))} Keys: {known}.")
            continue
        yield number, record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' stands twice")
    return record


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
