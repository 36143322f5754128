"""Getting bytes: a pinned wheel by pip, with a progress bar, or files of a hub repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from stabbench.errors import AssetError

SHOWN_LINES = 3
POLL = 0.1
ADDRESS = re.compile(r"\w+://[^\s'\",)]+|host='[^']+'(, port=\d+)?")
UNREACHED = ("No matching distribution", "NewConnectionError", "name resolution", "Connection refused", "ReadTimeout")


def wheel_file(package: str, version: str, sha256: str, size: int, folder: Path) -> Path:
    """Download one wheel into `folder` and return its path; pip checks its SHA-256.

    Args:
        package: name on the Python package index.
        version: exact version.
        sha256: of the wheel.
        size: about how many bytes it has, for the bar.
        folder: an existing folder.

    Raises:
        AssetError: pip failed; the message carries its last lines.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package}=={version} --hash=sha256:{sha256}\n", encoding="utf-8")
    wheels = folder / "wheels"
    command = [
        *(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"),
        *("--require-hashes", "--disable-pip-version-check", "--progress-bar", "off", "--no-input", "--no-cache-dir"),
        *("-r", str(requirements), "-d", str(wheels)),
    ]
    log = folder / "pip.log"
    # pip unpacks into its temporary folder first: below ours it is seen by the bar, and cleared away with it.
    environment = {**os.environ, "TMPDIR": str(folder)}
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process:
        _watch(process, f"{package} {version}", size, folder)
    text = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0:
        raise AssetError(f"{package}=={version}: {_reason(text)}")
    found = list(wheels.glob("*.whl"))
    if len(found) != 1:
        raise AssetError(f"{package}=={version}: pip succeeded but left {len(found)} wheels")
    return found[0]


def _watch(process: subprocess.Popen[bytes], label: str, size: int, folder: Path) -> None:
    """Show a bar of the bytes that lie in `folder` on a terminal, one line elsewhere, until the process ends."""
    console = Console(stderr=True)
    if not console.is_terminal:
        print(f"fetching {label} ({size / 1e6:.0f} MB)", file=sys.stderr)
        process.wait()
        return
    columns = (TextColumn("fetching {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(label, total=size)
        while process.poll() is None:
            bar.update(task, completed=min(size, _bytes_below(folder)))
            time.sleep(POLL)
        bar.update(task, completed=size if process.returncode == 0 else _bytes_below(folder))


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _reason(log: str) -> str:
    """Return why pip failed, in words, from the last lines it printed."""
    lines = [
        line.strip() for line in log.splitlines() if line.strip() and not line.lstrip().startswith("WARNING: Location")
    ]
    errors = [line for line in lines if line.startswith("ERROR")] or lines
    # An index address may hold a password, and is nobody's business in a log.
    tail = ADDRESS.sub("<address>", " | ".join(errors[-SHOWN_LINES:])[-600:])
    if "No module named pip" in log:
        return "this Python has no pip, which fetches the files; install it with: python -m ensurepip"
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in log:
        return f"the index gave a wheel with another hash than the pinned one; it was not used. pip: {tail}"
    if any(sign in log for sign in UNREACHED):
        return f"the package index cannot be reached or lacks it; check the network and pip's settings. pip: {tail}"
    if "No space left" in log:
        return f"the disk is full. pip: {tail}"
    return f"pip failed. {tail}"


def hub_files(source: Mapping[str, Any], names: Sequence[str]) -> dict[str, bytes]:
    """Return files of a hub repository by name.

    Raises:
        AssetError: the hub could not be reached or does not have a file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
    from huggingface_hub.utils import logging

    # It logs every retry; what matters is in the error at the end.
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        paths = {name: hf_hub_download(source["repository"], name, revision=source["revision"]) for name in names}
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AssetError(f"hub {source['repository']}: {first}") from error
    return {name: Path(path).read_bytes() for name, path in paths.items()}
