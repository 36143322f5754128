"""Finished cells on disk: a folder named by the hash of everything that decides its content.

A cell is written under a temporary name, fsynced and renamed into place: it exists whole or it does not exist. Files
are the truth; there is no index. Layout below the store's root::

    cells/ab/ab12…/cell.json  and the cell's own files (formats: the probe or training module that writes them)
    drafts/<key>.<host>.<pid>…/   work in progress; removed when its process is gone
    claims/<key>                  who works on a cell now (see `claims_on_cells.py`)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stabbench.errors import StoreError
from stabbench.records import Cell, Measurement, Row, canonical, finite, number

SCHEMA = 1


def key_of(content: Mapping[str, Any]) -> str:
    """Return the key of a cell: the first 128 bits of SHA-256 over the canonical JSON of `content`, in hex."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class StoredCell:
    """A finished cell.

    Attributes:
        key: content hash.
        folder: where its files are.
        record: the content of ``cell.json``.
    """

    key: str
    folder: Path
    record: Mapping[str, Any]

    @property
    def details(self) -> Mapping[str, Any]:
        """What the writer recorded beside measurements: hashes, reasons, versions."""
        details: Mapping[str, Any] = self.record["details"]
        return details

    @property
    def rows(self) -> list[Row]:
        """The measurements with the subject they belong to."""
        return [_row(item) for item in self.record["rows"]]

    @property
    def measurements(self) -> list[Measurement]:
        """The measurements alone."""
        return [row.measurement for row in self.rows]

    @property
    def weights(self) -> str | None:
        """Hash of the trained weights; None for other cells."""
        weights: str | None = self.details.get("weights")
        return weights

    def has_weights(self) -> bool:
        """Return whether the trained weights are still on disk."""
        return (self.folder / "model" / "model.safetensors").exists()


class Store:
    """A folder of finished cells, safe for several writers."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Return the folder of a cell, whether it exists or not."""
        return self.root / "cells" / key[:2] / key

    def get(self, key: str) -> StoredCell | None:
        """Return the finished cell, or None.

        Raises:
            StoreError: the folder exists but its record cannot be read.
        """
        folder = self.path(key)
        if not folder.exists():
            return None
        try:
            record = json.loads((folder / "cell.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{folder}: the cell's record cannot be read ({error}); remove the folder to redo it"
            ) from error
        return StoredCell(key, folder, record)

    def __iter__(self) -> Iterator[StoredCell]:
        for folder in sorted((self.root / "cells").glob("??/*")):
            if (cell := self.get(folder.name)) is not None:
                yield cell

    @contextmanager
    def draft(self, key: str) -> Iterator[Path]:
        """Give an empty folder to write a cell's files into; whatever `finish` has not taken by the end is removed."""
        folder = self.root / "drafts" / f"{key}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def finish(
        self,
        draft: Path,
        key: str,
        cell: Cell,
        rows: Sequence[Row],
        details: Mapping[str, Any],
        seconds: float,
        environment: Mapping[str, Any],
    ) -> StoredCell:
        """Write the record, flush everything to disk, and rename the draft into place.

        Where another writer was first, its cell is kept and returned: equal keys mean equal content.
        """
        record = {
            "schema": SCHEMA,
            "key": key,
            "id": cell.id,
            "kind": cell.kind,
            "variant": cell.variant,
            "seed": cell.seed,
            "compression": cell.compression,
            "probe": cell.probe,
            "options": cell.options,
            "static": cell.static,
            "rows": [_plain(row) for row in rows],
            "details": details,
            "seconds": seconds,
            "environment": environment,
        }
        text = json.dumps(finite(record), indent=1, ensure_ascii=False, allow_nan=False)
        (draft / "cell.json").write_text(text, encoding="utf-8")
        return self._place(draft, key)

    def adopt(self, cell: StoredCell) -> StoredCell:
        """Copy a finished cell of another store, whole or not at all; one that is here already is kept."""
        found = self.get(cell.key)
        if found is not None:
            return found
        with self.draft(cell.key) as draft:
            shutil.copytree(cell.folder, draft, dirs_exist_ok=True)
            return self._place(draft, cell.key)

    def _place(self, draft: Path, key: str) -> StoredCell:
        """Flush a draft and rename it into place; where another writer was first, its cell is kept."""
        _flush(draft)
        target = self.path(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.rename(draft, target)
        except OSError:
            if not target.exists():
                raise
        _flush_folder(target.parent)
        stored = self.get(key)
        assert stored is not None
        return stored

    def drop(self, key: str) -> None:
        """Remove a cell, for ``--fresh``: renamed first, so that it disappears at once."""
        target = self.path(key)
        if target.exists():
            grave = self.root / "drafts" / f"{key}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
            grave.parent.mkdir(parents=True, exist_ok=True)
            os.rename(target, grave)
            shutil.rmtree(grave, ignore_errors=True)

    def drop_weights(self, key: str) -> None:
        """Remove the trained weights of a cell; everything else stays."""
        shutil.rmtree(self.path(key) / "model", ignore_errors=True)

    def sweep(self) -> int:
        """Remove drafts whose process on this host is gone; return how many."""
        gone = [f for f in (self.root / "drafts").glob("*") if _abandoned(f.name)]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)
        return len(gone)


def _plain(row: Row) -> dict[str, Any]:
    return {
        "variant": row.variant,
        "seed": row.seed,
        "compression": row.compression,
        "probe": row.probe,
        **asdict(row.measurement),
    }


def _row(item: Mapping[str, Any]) -> Row:
    where = {name: item[name] for name in ("variant", "seed", "compression", "probe")}
    what = {name: value for name, value in item.items() if name not in where}
    return Row(**where, measurement=Measurement(**{**what, "value": number(item["value"])}))


def _flush(folder: Path) -> None:
    """Flush every file and folder below `folder` to disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            _flush_folder(path)
    _flush_folder(folder)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def _abandoned(name: str) -> bool:
    _, host, pid, _ = name.split(".")
    return host == _host() and not process_alive(int(pid))


def process_alive(pid: int) -> bool:
    """Return whether a process of this host exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
