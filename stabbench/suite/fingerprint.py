"""What data a suite reads, as a hash, before anything is parsed: file bytes, pinned hashes, or a hub revision."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from stabbench.records import canonical
from stabbench.registry import PACKAGE
from stabbench.suite.schema import Data, SplitFile

READER = 1
"""Raised whenever the same bytes would be read to other examples or other splits."""
UNREAD = {"test": {"measure_on"}, "validation": {"test"}}
"""Split that is measured → options that change no example: a test split that is not read is no part of the hash."""


def uses_files(data: Data) -> bool:
    """Return whether the paths are used: always without a source, and with one where `root` is set."""
    return isinstance(data.test, SplitFile) and (data.source is None or data.root is not None)


def file_of(data: Data, split: SplitFile, suite_folder: Path) -> Path:
    """Return the file of a split: relative to `root`, which is relative to the suite's folder; absolute is allowed."""
    return suite_folder / (data.root or ".") / split.path


def data_fingerprint(data: Data, suite_folder: Path) -> str:
    """Return a hash of the bytes and of every option that decides which examples come out.

    A missing file gives a fingerprint too (of its absence): the run that needs it reports it with its place.
    """
    options = data.model_dump(exclude={"root", *UNREAD[data.measure_on]})
    # What is not said is no part of the hash: it decides nothing.
    options = {name: value for name, value in options.items() if name != "classes" or value is not None}
    content: dict[str, Any] = {"reader": READER, "options": options}
    if uses_files(data):
        splits = {"train": data.train, "validation": data.validation, "test": data.test}
        splits = {name: split for name, split in splits.items() if name in options}
        files = {name: split for name, split in splits.items() if isinstance(split, SplitFile)}
        content["options"] = {**options, "source": None}
        for name in files:
            content["options"][name] = {key: value for key, value in options[name].items() if key != "path"}
        # The stem is in the examples' ids, and noise is seeded by those.
        content["files"] = {
            name: [Path(split.path).stem, _digest(file_of(data, split, suite_folder))] for name, split in files.items()
        }
    elif data.source is not None and data.source.startswith("builtin:"):
        pins = json.loads((PACKAGE / "assets" / "pins.json").read_text(encoding="utf-8"))
        content["pins"] = pins.get(data.source, {}).get("files", {})
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:32]


def test_fingerprint(data: Data, suite_folder: Path) -> str:
    """Return a hash of where the test texts come from: the file's bytes and columns, pinned files, or a hub commit.

    It says nothing about which of them are used, nor about the other splits.
    """
    content: list[Any] = [READER]
    if uses_files(data) and isinstance(data.test, SplitFile):
        content += [
            _digest(file_of(data, data.test, suite_folder)),
            data.test.text,
            data.test.text_pair,
            data.test.label,
        ]
    else:
        pins = json.loads((PACKAGE / "assets" / "pins.json").read_text(encoding="utf-8"))
        content += [data.source, data.revision, pins.get(data.source, {}).get("files", {})]
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:32]


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return f"{path.suffix}:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        return f"absent:{error.strerror}"
