"""A server process as its client sees it: lines of JSON to it and from it, each answer stamped when it arrives."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from stabbench.errors import StabbenchError
from stabbench.probes._latency.processes import fresh_environment

_PATIENCE = 120.0
_TAIL_LINES = 30


class ServerProcess:
    """Starts one subject's server; use as a context, which ends it.

    Raises:
        StabbenchError: the server ended before it had answered; the message carries the end of what it printed.
    """

    def __init__(self, protocol: Path, subject: int) -> None:
        self._command = [sys.executable, str(Path(__file__).with_name("server.py")), str(protocol), str(subject)]
        self._folder = protocol.parent
        self._answers: dict[int, dict[str, Any]] = {}
        self._expected = 0
        self._ready = False
        self._ended = False
        self._changed = threading.Condition()

    def __enter__(self) -> ServerProcess:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            env=fresh_environment(),
            cwd=self._folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self._wait(lambda: self._ready)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10 if kind is None else 1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)
        self._process.stdout.close()
        self._errors.close()

    def begin(self, requests: int) -> None:
        """Forget the answers of the load before, and expect so many."""
        with self._changed:
            self._answers = {}
            self._expected = requests

    def send(self, index: int, text: Any) -> None:
        """Send one request."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"id": index, "text": text}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail("ended")

    def wait_for(self, index: int) -> None:
        """Wait until one request is answered."""
        self._wait(lambda: index in self._answers)

    def answers(self) -> dict[int, dict[str, Any]]:
        """Wait until every expected request is answered; return request → its answer, with ``at``, when it came."""
        self._wait(lambda: len(self._answers) == self._expected)
        return dict(self._answers)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in iter(self._process.stdout.readline, b""):
            now = time.monotonic()
            content = json.loads(line)
            with self._changed:
                if "ready" in content:
                    self._ready = True
                else:
                    self._answers[content["id"]] = {**content, "at": now}
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wait(self, done: Any) -> None:
        with self._changed:
            in_time = self._changed.wait_for(lambda: done() or self._ended, timeout=_PATIENCE)
            fine = done()
        if not fine:
            self._fail("ended" if in_time else f"was silent for {_PATIENCE:.0f} s")

    def _fail(self, what: str) -> None:
        self._errors.seek(0)
        printed = self._errors.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        last = "\n".join(printed)
        raise StabbenchError(f"latency: the server {what} before it had answered. Its last words:\n{last}")
