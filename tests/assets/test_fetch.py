"""An asset is in the cache whole and right, or it is not there; every way of failing says what to do."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stabbench.assets import download, fetch
from stabbench.assets.needs import missing, needed
from stabbench.errors import AssetError, ConfigurationError
from stabbench.suite.schema import Data, Model, Suite, Variant

CONTENT = b"the file"
NAME = "builtin:thing"


def wheel(content: bytes = CONTENT, name: str = "pack/data/file.txt") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def pin(*packages: str) -> dict[str, Any]:
    wheel_pin = {"kind": "wheel", "version": "1", "bytes": 8, "sha256": "0", "folder": "pack/data"}
    sources = [{**wheel_pin, "package": package} for package in packages]
    return {NAME: {"bytes": 8, "files": {"file.txt": hashlib.sha256(CONTENT).hexdigest()}, "sources": sources}}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STABBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch, "pins", lambda: pin("first", "second"))
    return tmp_path / "cache"


def serve(monkeypatch: pytest.MonkeyPatch, give: Callable[[str], bytes]) -> None:
    def wheel_file(package: str, version: str, sha256: str, size: int, folder: Path) -> Path:
        path = folder / f"{package}.whl"
        path.write_bytes(give(package))
        return path

    monkeypatch.setattr(fetch, "wheel_file", wheel_file)


def left(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_a_fetched_asset_is_checked_placed_and_found_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, lambda package: wheel())

    folder = fetch.fetch(NAME)

    assert (folder / "file.txt").read_bytes() == CONTENT
    assert fetch.path_if_cached(NAME) == folder == fetch.fetch(NAME, offline=True)
    assert left(cache) == [folder.name]


def test_a_wrong_hash_goes_to_the_alternate_and_is_never_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(monkeypatch, lambda package: wheel(b"evil" if package == "first" else CONTENT))

    assert (fetch.fetch(NAME) / "file.txt").read_bytes() == CONTENT


def test_where_every_source_is_wrong_the_reasons_are_told_and_nothing_is_left(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(monkeypatch, lambda package: wheel(b"evil") if package == "first" else b"no wheel")

    with pytest.raises(AssetError, match=r"first==1: file.txt has sha256 .*\n.*second==1: the wheel does not hold"):
        fetch.fetch(NAME)

    assert left(cache) == []


def test_offline_refuses_and_names_the_command(cache: Path) -> None:
    with pytest.raises(AssetError, match="stabbench fetch builtin:thing"):
        fetch.fetch(NAME, offline=True)

    assert left(cache) == []


@pytest.mark.parametrize(
    ("number", "message"), [(errno.ENOSPC, "disk of .* is full"), (errno.EROFS, "cannot be written")]
)
def test_a_full_or_read_only_disk_is_told_and_nothing_is_left(
    cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def fail(package: str) -> bytes:
        raise OSError(number, os.strerror(number))

    serve(monkeypatch, fail)

    with pytest.raises(AssetError, match=message):
        fetch.fetch(NAME)

    assert left(cache) == []


def test_an_unknown_asset_names_the_known_ones(cache: Path) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'builtin:thing'"):
        fetch.fetch("builtin:thin")


def test_two_at_once_both_get_the_asset(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    barrier = threading.Barrier(2, timeout=10)

    def give(package: str) -> bytes:
        barrier.wait()
        return wheel()

    serve(monkeypatch, give)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch.fetch(NAME))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(found)) == 1
    assert left(cache) == [found[0].name]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "another hash"),
        ("ERROR: No matching distribution found for x", "cannot be reached or lacks it"),
        ("ERROR: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: something else", "pip failed"),
    ],
)
def test_pips_failure_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str, message: str) -> None:
    real = subprocess.Popen

    def popen(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        assert "--require-hashes" in command
        code = f"import sys; print({log!r}); sys.exit(1)"
        return real([sys.executable, "-c", code], **options)

    monkeypatch.setattr(download.subprocess, "Popen", popen)

    with pytest.raises(AssetError, match=message):
        download.wheel_file("x", "1", "0" * 64, 10, tmp_path)


def suite(model: str, source: str) -> Suite:
    data = Data(source=source, train=1, test=1)
    return Suite(name="s", data=data, model=Model(name=model), variants={"baseline": Variant()})


def test_a_suite_needs_its_built_in_parts_and_nothing_else(cache: Path) -> None:
    assert needed(suite("builtin:tiny", "builtin:tiny")) == []
    assert needed(suite("some/model", "hub:some/data")) == []
    assert needed(suite("builtin:minilm-l6", "builtin:rotten-tomatoes")) == [
        "builtin:minilm-l6",
        "builtin:rotten-tomatoes",
    ]


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ({"attack": {}}, []),
        ({"attack": {"recipes": ["pwws"]}}, []),
        ({"attack": {"recipes": ["pwws"], "constraints": ["recipe", "strict"]}}, ["glove-50d", "minilm-l6"]),
        ({"attack": {"recipes": ["deepwordbug"], "constraints": ["strict"]}}, []),
        ({"transfer": {"recipes": ["textfooler-offline"]}}, ["glove-50d", "minilm-l6"]),
        ({"attack": {"recipes": ["bae-offline"]}}, ["minilm-l6"]),
    ],
)
def test_a_suite_needs_what_its_attacks_read(cache: Path, probes: dict[str, Any], expected: list[str]) -> None:
    given = suite("builtin:tiny", "builtin:tiny").model_copy(update={"probes": probes})

    assert needed(given) == [f"builtin:{name}" for name in expected]


def test_what_is_missing_is_what_is_not_in_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("STABBENCH_CACHE", str(cache))

    assert missing(suite("builtin:minilm-l6", "builtin:tiny")) == ["builtin:minilm-l6"]


def test_a_built_in_name_that_does_not_exist_is_a_mistake(cache: Path) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'builtin:minilm-l6'"):
        needed(suite("builtin:minilm-l7", "builtin:tiny"))
