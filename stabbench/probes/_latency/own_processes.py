"""The scenarios in which every subject has processes of its own, one at a time: cold start, and a server under load."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from stabbench.errors import StabbenchError
from stabbench.probes._latency.arrivals import (
    TAIL,
    Outcome,
    highest_rate,
    outcome,
    poisson_arrivals,
    send_on_schedule,
)
from stabbench.probes._latency.client import ServerProcess
from stabbench.probes._latency.processes import fresh_environment
from stabbench.probes._latency.protocol import Protocol, balanced_orders
from stabbench.seeding import derive

_HERE = Path(__file__).parent
_SEARCH_STEPS = 3
_TAIL_LINES = 30


def run_cold(protocol: Protocol) -> list[dict[int, dict[str, Any]]]:
    """Start every subject once per process, alone and in balanced order; return process → subject → what it told."""
    found = []
    with TemporaryDirectory(prefix="stabbench-latency-") as scratch:
        path = Path(scratch, "protocol.json")
        protocol.write(path)
        for process in range(protocol.processes):
            found.append({subject: _cold(path, subject) for subject in _order(protocol, process)})
    return found


def _cold(protocol: Path, subject: int) -> dict[str, Any]:
    script = str(_HERE / "cold.py")
    command = [sys.executable, script, str(protocol), str(subject), repr(time.monotonic())]
    done = subprocess.run(
        command, env=fresh_environment(), cwd=protocol.parent, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StabbenchError(
            f"latency: the cold start of subject {subject} ended with exit code {done.returncode}. The end of what it "
            "printed:\n" + "\n".join(done.stderr.splitlines()[-_TAIL_LINES:])
        )
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def run_server(protocol: Protocol) -> dict[str, Any]:
    """Put every subject behind its server once per process, and send it the loads; return everything that was seen.

    ``reference_rate``: texts per second that the reference answers in a closed loop, from which the loads' rates come,
    the same for every subject. ``processes``: process → subject → {"capacity", "loads": {load: {"latencies",
    "refused", "late", "waits", "busy"}}, "at_bound", "tried"}.
    """
    with TemporaryDirectory(prefix="stabbench-latency-") as scratch:
        path = Path(scratch, "protocol.json")
        protocol.write(path)
        with ServerProcess(path, 0) as server:
            rate = _capacity(server, protocol)
        processes = []
        for process in range(protocol.processes):
            mine = {}
            for subject in _order(protocol, process):
                with ServerProcess(path, subject) as server:
                    mine[subject] = _one_server(server, protocol, process, rate)
            processes.append(mine)
    return {"reference_rate": rate, "processes": processes}


def _one_server(server: ServerProcess, protocol: Protocol, process: int, rate: float) -> dict[str, Any]:
    plan = protocol.server
    capacity = _capacity(server, protocol)
    loads = {}
    for load in plan.loads:
        arrivals = poisson_arrivals(load * rate, plan.requests, derive("server", process, str(load)))
        loads[str(load)] = send_load(server, protocol, arrivals)
    tried: list[tuple[float, float]] = []

    def within_bound(tried_rate: float) -> bool:
        arrivals = poisson_arrivals(tried_rate, plan.requests, derive("bound", process, len(tried)))
        found = send_load(server, protocol, arrivals)
        tail = Outcome(tuple(found["latencies"]), found["refused"]).quantile(TAIL)
        tried.append((tried_rate, tail))
        return tail <= plan.bound

    best = highest_rate(within_bound, 0.1 * capacity, capacity, _SEARCH_STEPS)
    return {"capacity": capacity, "loads": loads, "at_bound": best, "tried": tried}


def send_load(server: ServerProcess, protocol: Protocol, arrivals: Sequence[float]) -> dict[str, Any]:
    """Send one load and wait for its last answer."""
    texts = protocol.texts
    server.begin(len(arrivals))
    start, late = send_on_schedule(
        arrivals, lambda index: server.send(index, texts[index % len(texts)]), time.monotonic, time.sleep
    )
    answers = server.answers()
    times: Mapping[int, float | None] = {i: None if told["refused"] else told["at"] for i, told in answers.items()}
    found = outcome(arrivals, start, times, late)
    served = [told for _, told in sorted(answers.items()) if not told["refused"]]
    return {
        "latencies": list(found.latencies),
        "refused": found.refused,
        "late": found.late,
        "waits": [told["wait"] for told in served],
        "busy": [told["busy"] for told in served],
    }


def _capacity(server: ServerProcess, protocol: Protocol) -> float:
    """Return the texts per second of a closed loop, each text sent when the one before is answered; by the median."""
    texts, seconds = protocol.texts, []
    server.begin(protocol.server.requests)
    for index in range(protocol.server.requests):
        start = time.monotonic()
        server.send(index, texts[index % len(texts)])
        server.wait_for(index)
        seconds.append(time.monotonic() - start)
    server.answers()
    return 1.0 / float(np.mean(seconds))


def _order(protocol: Protocol, process: int) -> list[int]:
    rows = balanced_orders(len(protocol.subjects))
    return rows[process % len(rows)]
