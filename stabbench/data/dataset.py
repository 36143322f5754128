"""From a suite's `data` to a checked `Dataset`: every mistake is found here, before any training. No torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from stabbench.data.builtin import rotten_tomatoes, tiny_sentences
from stabbench.data.example import Dataset, Example
from stabbench.data.hub import hub_rows
from stabbench.data.reading import RawRow, read_rows
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.suite.fingerprint import file_of, uses_files
from stabbench.suite.schema import Data, Fraction, SplitFile, Task

Asset = Callable[[str], Path]
"""Name of an asset → its folder."""
Rows = list[tuple[str, RawRow]]
"""(example id, row)."""


def load_dataset(data: Data, task: Task, suite_folder: Path, asset: Asset) -> Dataset:
    """Return the three splits of a suite's data.

    Limits take the first N of a fixed shuffle: examples ordered by a hash of their texts and label, so that neither the
    row order of the file nor a longer file changes which come first.

    Raises:
        ConfigurationError: rows are bad, a split is empty or too small, a label stands only in the test split, or there
            is only one class.
    """
    train, validation, test = _splits(data, suite_folder, asset)
    classes = _classes(train, validation, test)
    splits = [_examples(rows, classes) for rows in (train, validation, test)]
    return Dataset(splits[0], splits[1], splits[2], tuple(classes), _fingerprint(splits))


def _splits(data: Data, suite_folder: Path, asset: Asset) -> tuple[Rows, Rows, Rows]:
    if uses_files(data):
        return _file_splits(data, suite_folder)
    assert data.source is not None
    pools = _source_pools(data, asset)
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    counts = {name: part if isinstance(part, int) else None for name, part in parts.items()}
    train = _limited(pools[0], counts["train"], "train", data.source)
    test = _limited(pools[2], counts["test"], "test", data.source)
    if isinstance(data.validation, Fraction):
        train, validation = _split_off(train, data.validation.fraction)
    else:
        validation = _limited(pools[1], counts["validation"], "validation", data.source) if data.validation else []
    return train, validation, test


def _source_pools(data: Data, asset: Asset) -> tuple[Rows, Rows, Rows]:
    source = data.source or ""
    if source == "builtin:rotten-tomatoes":
        return rotten_tomatoes(asset(source))
    if source == "builtin:tiny":
        return tiny_sentences()
    if source.startswith("hub:"):
        return hub_rows(data)
    known = ["builtin:rotten-tomatoes", "builtin:tiny", "hub:OWNER/NAME"]
    raise ConfigurationError([f"data.source: {unknown_name('source', source, known)}"])


def _file_splits(data: Data, suite_folder: Path) -> tuple[Rows, Rows, Rows]:
    read: dict[str, Rows] = {"validation": []}
    problems = []
    for name in ("train", "validation", "test"):
        split = getattr(data, name)
        if isinstance(split, SplitFile):
            try:
                read[name] = _file_rows(split, file_of(data, split, suite_folder), name)
            except ConfigurationError as error:
                problems += list(error.problems)
    if problems:
        raise ConfigurationError(problems, note="No row is dropped silently: mend or remove these. Nothing was run.")
    if isinstance(data.validation, Fraction):
        read["train"], read["validation"] = _split_off(read["train"], data.validation.fraction)
    return read["train"], read["validation"], read["test"]


def _file_rows(split: SplitFile, path: Path, name: str) -> Rows:
    rows: Rows = [(f"{path.stem}:{row.line}", row) for row in read_rows(path, split)]
    return _limited(rows, split.limit, name, str(path))


def _limited(rows: Rows, limit: int | None, name: str, origin: str) -> Rows:
    """Return the first `limit` rows of the fixed shuffle; all rows, in that order too, without a limit."""
    if limit is not None and limit > len(rows):
        raise ConfigurationError([f"data.{name}: {limit} examples asked for, {origin} has {len(rows)}"])
    return sorted(rows, key=lambda item: (_hash(item[1]), item[0]))[:limit]


def _split_off(rows: Rows, fraction: float) -> tuple[Rows, Rows]:
    """Return (train, validation) by a fixed hash of each text, so that equal texts stay on one side."""
    mine = [item for item in rows if _share(item[1]) >= fraction]
    return mine, [item for item in rows if _share(item[1]) < fraction]


def _hash(row: RawRow) -> str:
    return hashlib.sha256("\x1f".join((row.text, row.pair or "", row.label)).encode()).hexdigest()


def _share(row: RawRow) -> float:
    """Return a fixed number in [0, 1) for a text; unrelated to the order of `_limited`."""
    digest = hashlib.sha256("\x1f".join(("validation", row.text, row.pair or "")).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _classes(train: Rows, validation: Rows, test: Rows) -> list[str]:
    """Return the labels, sorted (as numbers where all are), after every check on them."""
    problems = [f"data.{name}: the split is empty" for name, rows in (("train", train), ("test", test)) if not rows]
    known = Counter(row.label for _, row in train)
    for name, rows in (("validation", validation), ("test", test)):
        unknown = Counter(row.label for _, row in rows if row.label not in known)
        for label, count in sorted(unknown.items() if known else ()):
            seen = ", ".join(sorted(known)[:10])
            problems.append(
                f"data.{name}: label '{label}' stands on {count} examples and on none of train (train has {seen}); "
                "is it misspelt, or is the training split too small or cut off by 'limit'?"
            )
    if len(known) == 1:
        problems.append(f"data.train: only one class ('{next(iter(known))}'); a classifier needs at least two")
    if problems:
        raise ConfigurationError(problems)
    return sorted(
        known,
        key=lambda label: (not label.lstrip("-").isdigit(), int(label) if label.lstrip("-").isdigit() else 0, label),
    )


def _examples(rows: Rows, classes: Sequence[str]) -> tuple[Example, ...]:
    index = {label: i for i, label in enumerate(classes)}
    return tuple(Example(name, row.text, index[row.label], row.pair) for name, row in rows)


def _fingerprint(splits: Sequence[Sequence[Example]]) -> str:
    digest = hashlib.sha256()
    for split in splits:
        for example in split:
            digest.update(repr((example.id, example.text, example.pair, example.label)).encode())
        digest.update(b"--")
    return digest.hexdigest()[:32]
