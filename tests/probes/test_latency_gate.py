"""Processes that start together and are let through one after another."""

from __future__ import annotations

import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from stabbench.probes._latency.gate import GATE, Start, run_gated, wait_at_gate

ALIVE = """
import os, sys, time
from stabbench.probes._latency.gate import wait_at_gate
started = time.monotonic()
wait_at_gate()
began = time.monotonic()
time.sleep(0.05)
print(sys.argv[1], started, began, time.monotonic())
"""


def _starts(folder: Path, count: int, script: str = ALIVE) -> list[Start]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return [Start([sys.executable, "-c", script, str(index)], environment, folder) for index in range(count)]


@pytest.mark.parametrize("side_by_side", [1, 2, 3])
def test_they_run_in_order_and_never_two_at_once(side_by_side: int, tmp_path: Path) -> None:
    done = list(run_gated(_starts(tmp_path, 5), side_by_side))

    assert [process.returncode for process in done] == [0] * 5
    told = [[float(value) for value in process.stdout.split()] for process in done]
    assert [index for index, *_ in told] == [0, 1, 2, 3, 4]
    assert all(end <= began for (_, _, _, end), (_, _, began, _) in pairwise(told))
    # Those of one group have all started when the first of them goes on.
    group = told[:side_by_side]
    assert max(started for _, started, _, _ in group) <= min(began for _, _, began, _ in group)


def test_one_that_ends_before_its_gate_stops_nobody(tmp_path: Path) -> None:
    broken = Start([sys.executable, "-c", "import sys; sys.exit('no weights')"], dict(os.environ), tmp_path)

    first, second = run_gated([broken, *_starts(tmp_path, 1)], 2)

    assert (first.returncode, first.stderr.strip()) == (1, "no weights")
    assert second.returncode == 0


def test_those_that_wait_end_when_nobody_goes_on(tmp_path: Path) -> None:
    script = ALIVE.replace("started =", "open(f'pid-{sys.argv[1]}', 'w').write(str(os.getpid())); started =")
    running = run_gated(_starts(tmp_path, 2, script), 2)

    next(running)
    running.close()  # type: ignore[attr-defined]

    waited = int((tmp_path / "pid-1").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(waited, 0)


def test_without_a_gate_nothing_waits_and_an_orphan_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GATE, raising=False)
    start = time.monotonic()
    wait_at_gate()
    assert time.monotonic() - start < 60

    (ready, say), (hear, go) = os.pipe(), os.pipe()
    monkeypatch.setenv(GATE, f"{say},{hear}")
    os.close(go)
    with pytest.raises(RuntimeError, match="has ended"):
        wait_at_gate()
    assert os.read(ready, 1) == b"r"
    os.close(ready)
