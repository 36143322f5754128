"""Which columns of a file hold texts and labels, where the user does not say: by their names, or not at all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stabbench.data.reading import READERS
from stabbench.errors import ConfigurationError, Problem, suggestion

PAIRS = (
    ("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"), ("question", "sentence"),
    ("text_a", "text_b"), ("text1", "text2"), ("sentence_a", "sentence_b"), ("query", "passage"), ("text", "text_pair"),
)  # fmt: skip
"""Names that the two texts of a pair have in common data sets."""
TEXTS = (
    "text", "sentence", "text_a", "review", "content", "document", "comment", "tweet", "message", "headline", "title",
    "question", "query", "utterance", "body", "phrase",
)  # fmt: skip
LABELS = ("label", "labels", "class", "category", "sentiment", "target", "gold_label", "gold", "intent", "y")


@dataclass(frozen=True)
class Columns:
    """The columns of a file of labelled texts.

    Attributes:
        text: of the text, or of the first of a pair.
        pair: of the second text, or None.
        label: of the label.
        note: which of them were guessed, in words; empty where all were said.
    """

    text: str
    pair: str | None
    label: str
    note: str


def choose_columns(path: Path, text: str | None, pair: str | None, label: str | None) -> Columns:
    """Return the columns: those that are said, the others by their names.

    A text column that is said stands alone unless its pair is said too. Of two columns, the one that is no label is the
    text.

    Raises:
        ConfigurationError: the file cannot be read, a column that was said is not in it, or one cannot be told.
    """
    names = column_names(path)
    problems = [
        Problem(f"{option} '{name}': no such column.{suggestion(name, names)} Columns: {', '.join(names)}.", str(path))
        for option, name in (("--text", text), ("--text-pair", pair), ("--label", label))
        if name is not None and name not in names
    ]
    if problems:
        raise ConfigurationError(problems)
    guessed = []
    if label is None:
        left = [name for name in names if name not in (text, pair)]
        label = _one(left, LABELS) or (left[0] if text is not None and len(left) == 1 else None)
        label = _told(label, "label", "--label", names, path)
        guessed.append(f"--label {label}")
    if text is None:
        left = [name for name in names if name not in (pair, label)]
        couple = _pair(left) if pair is None else None
        if couple is not None:
            text, pair = couple
            guessed += [f"--text {text}", f"--text-pair {pair}"]
        else:
            text = _told(_one(left, TEXTS) or (left[0] if len(left) == 1 else None), "text", "--text", names, path)
            guessed.append(f"--text {text}")
    note = f"columns by their names: {' '.join(guessed)} (of {', '.join(names)})" if guessed else ""
    return Columns(text, pair, label, note)


def column_names(path: Path) -> list[str]:
    """Return the columns of a csv, tsv, jsonl or parquet file, in their order.

    Raises:
        ConfigurationError: there is no such file, it is of another kind, or it is empty.
    """
    kind = path.suffix.lower()
    if kind not in READERS:
        found = "no kind" if not kind else f"'{path.suffix}'"
        raise _wrong(path, f"unknown kind of file ({found}); expected {', '.join(READERS)}")
    if not path.is_file():
        raise _wrong(path, "is a folder; name a file in it" if path.is_dir() else "no such file")
    names = _parquet_names(path) if kind == ".parquet" else _text_names(path, kind)
    if not names:
        raise _wrong(path, "the file is empty")
    return names


def _text_names(path: Path, kind: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline() if kind != ".csv" else file.read()
    except UnicodeDecodeError as error:
        raise _wrong(path, "is not UTF-8; save it as UTF-8") from error
    if not first.strip():
        return []
    if kind == ".tsv":
        return first.rstrip("\r\n").split("\t")
    if kind == ".csv":
        return next(csv.reader(io.StringIO(first, newline="")), [])
    try:
        record = json.loads(first)
    except ValueError as error:
        raise _wrong(path, f"is not JSON: {error}", 1) from error
    if not isinstance(record, dict):
        raise _wrong(path, f"is {type(record).__name__}, expected an object on each line", 1)
    return list(record)


def _parquet_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        return list(parquet.read_schema(path).names)
    except pa.ArrowInvalid as error:
        raise _wrong(path, f"is not a parquet file: {error}") from error


def _one(names: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the column whose name stands first in `known`, capitals aside; None where two columns share that name."""
    for wanted in known:
        fitting = [name for name in names if name.strip().casefold() == wanted]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _pair(names: Sequence[str]) -> tuple[str, str] | None:
    for first, second in PAIRS:
        couple = _one(names, (first,)), _one(names, (second,))
        if couple[0] is not None and couple[1] is not None:
            return couple[0], couple[1]
    return None


def _told(name: str | None, what: str, option: str, names: Sequence[str], path: Path) -> str:
    if name is None:
        message = f"which column is the {what} cannot be told from the names: {', '.join(names)}. Say it: {option} NAME"
        raise _wrong(path, message)
    return name


def _wrong(path: Path, message: str, line: int | None = None) -> ConfigurationError:
    return ConfigurationError([Problem(message, str(path), line)])
