"""From a suite's `data` to a checked `Dataset`: every mistake is found here, before any training. No torch."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stabbench.data.builtin import rotten_tomatoes, tiny_sentences
from stabbench.data.example import Dataset, Example
from stabbench.data.hub import hub_rows
from stabbench.data.reading import RawRow, read_rows
from stabbench.errors import ConfigurationError, Problem, unknown_name
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

    With ``measure_on: validation`` the test split is not read, and `test` holds the validation examples.

    Raises:
        ConfigurationError: rows are bad, a split is empty or too small, a label stands only in the test split or not in
            `classes`, or there is only one class.
    """
    train, validation, test = _splits(data, suite_folder, asset)
    named = {"train": train, "test": test, "validation": validation}
    for name in ("train", "validation"):
        if getattr(data, name) is None:
            del named[name]
    if data.measure_on == "validation":
        # The test split was not read: what is measured is the validation split.
        del named["test"]
        test = validation
    classes = _classes(named, data.measure_on, data.classes)
    splits = [_examples(rows, classes) for rows in (train, validation, test)]
    warnings = _warnings(named)
    return Dataset(splits[0], splits[1], splits[2], tuple(classes), _fingerprint(splits), warnings)


def _splits(data: Data, suite_folder: Path, asset: Asset) -> tuple[Rows, Rows, Rows]:
    if uses_files(data):
        return _file_splits(data, suite_folder)
    assert data.source is not None
    pools = _source_pools(data, asset)
    train = _limited(pools[0], _count(data.train), "train", data.source) if data.train is not None else []
    read_test = data.measure_on == "test"
    test = _limited(pools[2], _count(data.test), "test", data.source) if read_test else []
    if isinstance(data.validation, Fraction):
        train, validation = _split_off(train, data.validation.fraction)
    else:
        count = _count(data.validation)
        validation = _limited(pools[1], count, "validation", data.source) if data.validation is not None else []
    return train, validation, test


def _count(part: int | SplitFile | Fraction | None) -> int | None:
    """Return how many examples of a source a split asks for; a split that names a file too asks by its `limit`."""
    return part if isinstance(part, int) else part.limit if isinstance(part, SplitFile) else None


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
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    if data.measure_on == "validation":
        del parts["test"]
    splits = {name: part for name, part in parts.items() if isinstance(part, SplitFile)}
    problems = _file_problems(data, splits, suite_folder)
    read: dict[str, Rows] = {"train": [], "validation": [], "test": []}
    # Ids begin with the file's stem, or with the split's name where two files have the same stem.
    stems = Counter(Path(split.path).stem for split in splits.values())
    for name, split in splits.items():
        path = file_of(data, split, suite_folder)
        prefix = path.stem if stems[path.stem] == 1 else name
        try:
            read[name] = [(f"{prefix}:{row.line}", row) for row in read_rows(path, split)]
        except ConfigurationError as error:
            problems += list(error.problems)
    if problems:
        raise ConfigurationError(problems, note="No row is dropped silently: mend or remove these. Nothing was run.")
    if isinstance(data.validation, int):
        read["validation"], read["train"] = _set_apart(read["train"], data.validation)
    for name, split in splits.items():
        read[name] = _limited(read[name], split.limit, name, str(file_of(data, split, suite_folder)))
    if isinstance(data.validation, Fraction):
        read["train"], read["validation"] = _split_off(read["train"], data.validation.fraction)
    return read["train"], read["validation"], read["test"]


def _file_problems(data: Data, splits: Mapping[str, SplitFile], suite_folder: Path) -> list[Problem]:
    """Return what is wrong between the files: one file for two splits, pairs in one and single texts in another."""
    problems = []
    first: dict[Path, str] = {}
    for name, split in splits.items():
        path = file_of(data, split, suite_folder).resolve()
        if path in first:
            problems.append(Problem(f"data.{name} is the same file as data.{first[path]}; give another", str(path)))
        first.setdefault(path, name)
    paired = [name for name, split in splits.items() if split.text_pair is not None]
    if paired and len(paired) < len(splits):
        single = ", ".join(name for name in splits if name not in paired)
        problems.append(Problem(f"data: {', '.join(paired)} has a text_pair and {single} has none; give it to all"))
    return problems


def _set_apart(rows: Rows, count: int) -> tuple[Rows, Rows]:
    """Return (the `count` rows with the smallest validation hash, the others); equal texts may not be parted."""
    if count >= len(rows):
        raise ConfigurationError([f"data.validation: {count} examples asked for, data.train has {len(rows)}"])
    edge = sorted(_share(row) for _, row in rows)[count - 1]
    inside = [item for item in rows if _share(item[1]) <= edge]
    return inside, [item for item in rows if _share(item[1]) > edge]


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


def _classes(splits: Mapping[str, Rows], measured: str, given: Sequence[str] | None) -> list[str]:
    """Return the labels, `given` or sorted (numbers by value), after every check of the splits that were asked for.

    Where nothing is trained the labels are those of the measured split. There, as in train, one class alone says
    nothing.
    """
    problems = [f"data.{name}: the split is empty; ask for more examples" for name, rows in splits.items() if not rows]
    origin = "train" if "train" in splits else measured
    known = Counter(given) if given is not None else Counter(row.label for _, row in splits[origin])
    for name, rows in splits.items():
        unknown: dict[str, list[str]] = {}
        for example, row in rows:
            if row.label not in known and known:
                unknown.setdefault(row.label, []).append(example)
        for label, ids in sorted(unknown.items()):
            seen = ", ".join(sorted(known)[:10])
            where = f"data.{name}: label '{label}' stands on {len(ids)} of its examples (first: {ids[0]})"
            problems.append(
                f"{where} and on none of train (train has {seen}); is it misspelt, or is the training split too small "
                "or cut off by 'limit'?"
                if given is None
                else f"{where} and is none of data.classes ({seen}); is it misspelt there?"
            )
    for name in dict.fromkeys((origin, measured)):
        labels = {row.label for _, row in splits[name]}
        if len(labels) == 1:
            problems.append(
                f"data.{name}: only one class ('{min(labels)}'); a model that always answers it would be right there"
            )
    if problems:
        raise ConfigurationError(problems)
    return (
        list(given)
        if given is not None
        else sorted(
            known,
            key=lambda label: (
                not label.lstrip("-").isdigit(),
                int(label) if label.lstrip("-").isdigit() else 0,
                label,
            ),
        )
    )


def _warnings(splits: Mapping[str, Rows]) -> tuple[str, ...]:
    """Return what is allowed but doubtful: texts shared between splits, a text of train with two labels."""
    found = []
    names = ("train", "validation", "test")
    texts = {name: {(row.text, row.pair) for _, row in splits.get(name, [])} for name in names}
    for first, second in (("train", "test"), ("validation", "test"), ("train", "validation")):
        if shared := len(texts[first] & texts[second]):
            found.append(f"{shared} text{'s stand' if shared > 1 else ' stands'} in {first} and in {second}")
    labelled = {(row.text, row.pair, row.label) for _, row in splits.get("train", [])}
    if contradicted := len(labelled) - len(texts["train"]):
        found.append(f"{contradicted} text{'s' if contradicted > 1 else ''} of train with more than one label")
    return tuple(found)


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
