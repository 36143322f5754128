"""Who works on a cell now: a claim file made with O_EXCL and kept fresh by a heartbeat.

Two drivers on one store never do one cell twice: the second waits until the first has finished, or until its claim is
stale (its process is gone, or on another host the heartbeat is older than `STALE` seconds), and then takes over.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stabbench.store.cells import process_alive

HEARTBEAT = 5.0
STALE = 60.0
POLL = 0.2


@contextmanager
def claim(root: Path, key: str, finished: Callable[[], bool]) -> Iterator[bool]:
    """Hold the claim on `key`; gives True to the holder, False where another finished the cell while we waited."""
    path = root / "claims" / key
    path.parent.mkdir(parents=True, exist_ok=True)
    while not _take(path):
        if finished():
            yield False
            return
        if _stale(path):
            _evict(path)
            continue
        time.sleep(POLL)
    if finished():  # between the caller's look-up and our claim another driver may have finished it
        path.unlink(missing_ok=True)
        yield False
        return
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(path, stop), daemon=True)
    beat.start()
    try:
        yield True
    finally:
        stop.set()
        beat.join()
        path.unlink(missing_ok=True)


def _take(path: Path) -> bool:
    owner = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    draft.write_text(owner, encoding="utf-8")
    try:
        # A link appears with its content, so that no reader ever sees an empty claim; it fails where one exists.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def _stale(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
        owner = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    if owner["host"] == socket.gethostname():
        return not process_alive(owner["pid"])
    return age > STALE


def _evict(path: Path) -> None:
    """Move a stale claim away; of several who try, only the one whose rename succeeds has done it."""
    grave = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        os.rename(path, grave)
    except FileNotFoundError:
        return
    grave.unlink(missing_ok=True)


def _beat(path: Path, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        try:
            os.utime(path)
        except FileNotFoundError:
            return
