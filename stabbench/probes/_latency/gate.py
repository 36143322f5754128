"""Fresh processes that start side by side and are timed one after another. No torch.

Starting takes seconds, timing often less. Where there are two processors, two processes start together; each waits at a
gate, asleep on a pipe, when everything is imported, and is let through when those before it have ended: nobody else
runs while one is timed, as if they had been started in turn.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

GATE = "STABBENCH_GATE"
"""Environment variable of a gated process: descriptors to say "ready" on and to wait for "go" on."""


@dataclass(frozen=True)
class Start:
    """One process to run: its command, environment and folder."""

    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


def wait_at_gate() -> None:
    """Inside a process: say that all is imported, and sleep until it may go on; at once where there is no gate.

    Raises:
        RuntimeError: the parent ended meanwhile.
    """
    text = os.environ.pop(GATE, "")
    if not text:
        return
    ready, go = (int(part) for part in text.split(","))
    os.write(ready, b"r")
    os.close(ready)
    allowed = os.read(go, 1)
    os.close(go)
    if not allowed:
        raise RuntimeError("the process that started this one has ended")


def run_gated(starts: Sequence[Start], side_by_side: int) -> Generator[subprocess.CompletedProcess[str]]:
    """Run the processes in order, `side_by_side` of them starting together; yield each when it has ended.

    Whoever closes the iterator, or fails meanwhile, ends those that still wait.
    """
    for first in range(0, len(starts), side_by_side):
        with ExitStack() as stack:
            waiting = [_Gated(start, stack) for start in starts[first : first + side_by_side]]
            for process in waiting:
                process.until_ready()
            for process in waiting:
                yield process.finish()


@dataclass
class _Gated:
    """A started process; its descriptors, and the process if it still runs, go when the stack is closed."""

    start: Start
    stack: ExitStack = field(repr=False)

    def __post_init__(self) -> None:
        files = (tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") for _ in range(2))  # noqa: SIM115
        self.printed: list[IO[str]] = [self.stack.enter_context(file) for file in files]
        self.ready = self.go = -1
        environment, passed = dict(self.start.environment), []
        if os.name == "posix":
            (self.ready, say), (hear, self.go) = os.pipe(), os.pipe()
            passed = [say, hear]
            environment[GATE] = f"{say},{hear}"
            for descriptor in (self.ready, self.go):
                self.stack.callback(os.close, descriptor)
        self.process = subprocess.Popen(
            self.start.command,
            env=environment,
            cwd=self.start.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.printed[0],
            stderr=self.printed[1],
            pass_fds=passed,
        )
        self.stack.callback(self._end)
        for descriptor in passed:
            os.close(descriptor)

    def until_ready(self) -> None:
        """Wait until it stands at the gate, or has ended."""
        if self.ready >= 0:
            os.read(self.ready, 1)

    def finish(self) -> subprocess.CompletedProcess[str]:
        """Let it through, wait for its end, and return what it printed."""
        if self.go >= 0:
            with suppress(BrokenPipeError):
                os.write(self.go, b"g")
        code = self.process.wait()
        texts = []
        for stream in self.printed:
            stream.seek(0)
            texts.append(stream.read())
        return subprocess.CompletedProcess(self.start.command, code, texts[0], texts[1])

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
