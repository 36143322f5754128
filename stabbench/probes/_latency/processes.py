"""Runs the timing processes one after another, each a fresh interpreter, nothing of ours beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stabbench.errors import StabbenchError
from stabbench.probes._latency.protocol import ENVIRONMENT, FACTS, PROCESS, PROTOCOL_FILE, Protocol
from stabbench.registry import PACKAGE

_TAIL = 30
# What a caller's own pytest or profiler would bring into the timed process.
_FOREIGN = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_CURRENT_TEST", "PYTHONWARNINGS", "COV_CORE_SOURCE")


def run_processes(protocol: Protocol, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run every process; return pytest-benchmark's documents, also left as ``rounds-K.json`` in `folder`, and facts.

    The facts are what the first process counted in each subject (`facts.facts`).

    Raises:
        StabbenchError: a process failed; the message carries the end of what it printed.
    """
    documents = []
    with TemporaryDirectory(prefix="stabbench-latency-") as scratch:
        path = Path(scratch, "protocol.json")
        protocol.write(path)
        # An ini file of our own: pytest must not find the options of whatever project lies around.
        Path(scratch, "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
        for process in range(protocol.processes):
            target = folder / f"rounds-{process}.json"
            _run(process, path, target)
            documents.append(json.loads(target.read_text(encoding="utf-8")))
        facts: list[dict[str, Any]] = json.loads(Path(scratch, "facts.json").read_text(encoding="utf-8"))
    return documents, facts


def fresh_environment(**more: str) -> dict[str, str]:
    """Return the environment of a timed process: the caller's, less what is only his, with waits that do not spin."""
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    search = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**environment, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(search), **more}


def _run(process: int, protocol: Path, target: Path) -> None:
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
    done = subprocess.run(command, env=environment, cwd=protocol.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        printed = [*done.stdout.splitlines()[-_TAIL:], *done.stderr.splitlines()[-_TAIL:]]
        raise StabbenchError(
            f"latency: timing process {process} ended with exit code {done.returncode}. "
            "The end of what it printed:\n" + "\n".join(printed)
        )
