"""Runs the timing processes, each a fresh interpreter, one after another: nothing of ours runs beside a timed one."""

from __future__ import annotations

import json
import os
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stabbench.errors import StabbenchError
from stabbench.probes._latency.gate import Start, run_gated
from stabbench.probes._latency.protocol import ENVIRONMENT, FACTS, PROCESS, PROTOCOL_FILE, Protocol
from stabbench.registry import PACKAGE

_TAIL = 30
# What a caller's own pytest or profiler would bring into the timed process.
_FOREIGN = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_CURRENT_TEST", "PYTHONWARNINGS", "COV_CORE_SOURCE")


def run_processes(protocol: Protocol, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run every process; return pytest-benchmark's documents, also left as ``rounds-K.json`` in `folder`, and facts.

    See `gate` for how they start. The facts are what the first process counted in each subject (`facts.facts`).

    Raises:
        StabbenchError: a process failed; the message carries the end of what it printed.
    """
    documents = []
    with TemporaryDirectory(prefix="stabbench-latency-") as scratch:
        path = Path(scratch, "protocol.json")
        protocol.write(path)
        # An ini file of our own: pytest must not find the options of whatever project lies around.
        Path(scratch, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        targets = [folder / f"rounds-{process}.json" for process in range(protocol.processes)]
        starts = [_start(process, path, target) for process, target in enumerate(targets)]
        with closing(run_gated(starts, side_by_side())) as ended:
            for process, done in enumerate(ended):
                if done.returncode != 0:
                    printed = [*done.stdout.splitlines()[-_TAIL:], *done.stderr.splitlines()[-_TAIL:]]
                    raise StabbenchError(
                        f"latency: timing process {process} ended with exit code {done.returncode}. "
                        "The end of what it printed:\n" + "\n".join(printed)
                    )
                documents.append(json.loads(targets[process].read_text(encoding="utf-8")))
        facts: list[dict[str, Any]] = json.loads(Path(scratch, "facts.json").read_text(encoding="utf-8"))
    return documents, facts


def fresh_environment(**more: str) -> dict[str, str]:
    """Return the environment of a timed process: the caller's, less what is only his, with waits that do not spin."""
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    search = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**environment, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(search), **more}


def side_by_side() -> int:
    """Return how many processes start together: two where there are two processors, for memory's sake never more.

    One where processes cannot be held at a gate, which takes POSIX.
    """
    return min(2, cores()) if os.name == "posix" else 1


def cores() -> int:
    """Return the processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(process: int, protocol: Path, target: Path) -> Start:
    rounds = Path(__file__).with_name("rounds.py")
    command = [
        *(sys.executable, "-m", "pytest", str(rounds), "-c", str(protocol.with_name("pytest.ini"))),
        *("-q", "--no-header", "--assert=plain", "--tb=short", "--noconftest", "-p", "no:cacheprovider"),
        *("-p", "pytest_benchmark.plugin", "-p", "stabbench.probes._latency.machine"),
        *("--benchmark-only", "--benchmark-disable-gc", "--benchmark-columns=median,rounds"),
        f"--benchmark-json={target}",
    ]
    environment = fresh_environment(
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        **{
            PROTOCOL_FILE: str(protocol),
            PROCESS: str(process),
            FACTS: str(protocol.with_name("facts.json")),
        },
    )
    return Start(command, environment, protocol.parent)
