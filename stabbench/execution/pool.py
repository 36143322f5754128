"""The driver's side: keeps up to `jobs` worker processes busy and turns what they report into events.

A worker that dies takes only the cell in flight with it: that cell is an error, the rest of its job goes to a new
process. An exclusive job starts when nothing else runs and holds the machine alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO, Any

from stabbench.execution.job import Job, Role, Study

OnEvent = Callable[[dict[str, Any]], None]
LOG_TAIL = 4000
ENVIRONMENT = {
    # Threads wait for each other hundreds of times in a step. Sleeping each time costs a fifth of a step at two;
    # spinning without end takes the core from whoever else works on it. So they spin for some ten microseconds.
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "10000",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "PYTHONUNBUFFERED": "1",
    # glibc gives large freed blocks back to the system at once, and every training step faults them in again: 10 % of
    # a step of a small BERT. Kept in the process instead, with the same results; other allocators ignore this.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
}


@dataclass
class _Worker:
    """One process, and the job it has."""

    role: Role
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    scratch: tempfile.TemporaryDirectory[str]
    job: Job | None = None
    current: str | None = None
    partial: bytes = b""

    def give(self, study: Study, job: Job, until: float | None) -> None:
        assert self.process.stdin is not None
        self.job = job
        message = json.dumps({"study": study.as_json(), "job": job.as_json(), "until": until})
        with contextlib.suppress(BrokenPipeError):  # a worker that died at its start is noticed when it is listened to
            self.process.stdin.write(message.encode() + b"\n")
            self.process.stdin.flush()

    def read(self) -> list[bytes] | None:
        """Return the complete lines that have come, or None where the process has ended."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self.partial = (self.partial + data).split(b"\n")
        return lines if data else None

    def tail(self) -> str:
        self.log.flush()
        size = self.log.seek(0, os.SEEK_END)
        self.log.seek(max(0, size - LOG_TAIL))
        return self.log.read().decode(errors="replace")

    def end(self, *, kill: bool = False) -> None:
        assert self.process.stdin is not None
        if kill:
            self.process.kill()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        # A killed process removes nothing, and ours always end without their exit handlers.
        self.scratch.cleanup()


@dataclass
class Pool:
    """Runs jobs in up to `jobs` processes.

    Attributes:
        study: what all jobs share.
        jobs: processes side by side.
        on_event: called in the driver with each event: started, done, error.
        deadline: `time.monotonic` after which no further cell is started, or None.
        command: how a worker is started; the role is added.
    """

    study: Study
    jobs: int
    on_event: OnEvent
    deadline: float | None = None
    command: tuple[str, ...] = (sys.executable, "-m", "stabbench.execution.worker")
    _queue: list[Job] = field(default_factory=list)
    _workers: list[_Worker] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _trained: set[str] = field(default_factory=set)

    def run(self, jobs: Iterable[Job], trained: Iterable[str]) -> None:
        """Do all jobs; `trained` are the train cells that are in the store already.

        Jobs whose parents could not be trained, or that the deadline left over, are simply not done.
        """
        self._queue = list(jobs)
        self._trained = set(trained)
        try:
            while True:
                self._dispatch()
                if not any(worker.job for worker in self._workers):
                    break
                self._listen()
        finally:
            interrupted = sys.exc_info()[0] is not None
            for worker in list(self._workers):
                self._end(worker, kill=interrupted)
            self._selector.close()

    def _dispatch(self) -> None:
        while self._queue and (self.deadline is None or time.monotonic() < self.deadline):
            busy = [worker for worker in self._workers if worker.job]
            if len(busy) >= self.jobs or any(worker.role == "exclusive" for worker in busy):
                return
            job = next((job for job in self._queue if self._ready(job, bool(busy))), None)
            if job is None:
                return
            self._queue.remove(job)
            until = None if self.deadline is None else time.time() + self.deadline - time.monotonic()
            self._worker_for(job).give(self.study, job, until)

    def _ready(self, job: Job, busy: bool) -> bool:
        if job.role == "exclusive" and (
            busy or any(other.role != "exclusive" for other in self._queue if self._can(other))
        ):
            return False
        return job.waits_for <= self._trained

    def _can(self, job: Job) -> bool:
        """Return whether the job's parents are trained or still to be trained."""
        coming = {cell.id for other in self._queue for cell in other.cells if cell.kind == "train"}
        return job.waits_for <= self._trained | coming

    def _worker_for(self, job: Job) -> _Worker:
        idle = [worker for worker in self._workers if worker.job is None]
        for worker in idle:
            if worker.role == job.role:
                return worker
        # Nothing of another kind may stay in memory beside an exclusive job, nor more processes than slots.
        for worker in idle if job.role == "exclusive" else idle[:1]:
            self._end(worker)
        return self._start(job)

    def _start(self, job: Job) -> _Worker:
        log = tempfile.TemporaryFile(prefix="stabbench-worker-")  # noqa: SIM115 (lives as long as the worker)
        scratch = tempfile.TemporaryDirectory(prefix="stabbench-scratch-", ignore_cleanup_errors=True)
        threads = str(job.threads)
        process = subprocess.Popen(
            [*self.command, job.role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={
                **os.environ,
                **ENVIRONMENT,
                "OMP_NUM_THREADS": threads,
                "MKL_NUM_THREADS": threads,
                "TMPDIR": scratch.name,
            },
            start_new_session=True,  # Ctrl-C is the driver's: it ends its workers itself
        )
        worker = _Worker(job.role, process, log, scratch)
        self._workers.append(worker)
        assert process.stdout is not None
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        return worker

    def _listen(self) -> None:
        for key, _ in self._selector.select():
            worker: _Worker = key.data
            lines = worker.read()
            if lines is None:
                self._died(worker)
            for line in lines or ():
                self._handle(worker, json.loads(line))

    def _handle(self, worker: _Worker, event: dict[str, Any]) -> None:
        if event["event"] == "finished":
            worker.job = worker.current = None
            return
        worker.current = event["cell"] if event["event"] == "started" else None
        if event["event"] == "done":
            self._trained.add(event["cell"])
        self.on_event(event)

    def _died(self, worker: _Worker) -> None:
        """Report the cell in flight as an error and put the rest of the job back in front of the queue."""
        worker.process.wait()
        job, cell, tail = worker.job, worker.current, worker.tail()
        self._end(worker)
        if job is None:
            return
        how = _ending(worker.process.returncode)
        cell = cell or job.cells[0].id
        message = f"the worker process {how} while doing {cell}"
        self.on_event(
            {"event": "error", "cell": cell, "error": {"type": "crash", "message": message, "traceback": tail}}
        )
        rest = job.without(cell)
        if rest.cells and not cell.startswith("train/"):
            self._queue.insert(0, rest)

    def _end(self, worker: _Worker, *, kill: bool = False) -> None:
        self._selector.unregister(worker.process.stdout)  # type: ignore[arg-type]
        self._workers.remove(worker)
        worker.end(kill=kill)


def _ending(code: int) -> str:
    if code == -9:
        return "was killed (signal 9; out of memory?)"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
