"""pytest plugin of a timing process: no garbage collection, and no second lost to py-cpuinfo's own benchmark."""

from __future__ import annotations

import gc
import os
import platform
from typing import Any

import pytest

from stabbench.probes._latency.contamination import Machine, between, machine
from stabbench.probes._latency.gate import wait_at_gate
from stabbench.probes._latency.preload import preload
from stabbench.probes._latency.protocol import ENVIRONMENT
from stabbench.store.environment import instruction_set, processor, version

_BEGIN: list[Machine] = []


def pytest_configure() -> None:
    """Turn garbage collection off for good: a collection must not fall into a round, and imports are faster too."""
    gc.disable()
    _BEGIN.append(machine())


def pytest_collection_finish() -> None:
    """Import what loading a subject imports, then wait until this process has the machine to itself."""
    preload()
    wait_at_gate()
    _BEGIN[:] = [machine()]


def pytest_benchmark_update_json(output_json: dict[str, Any]) -> None:
    """Add what the machine's counters say of the process as a whole."""
    output_json["stabbench"] = between(_BEGIN[0], machine())


@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_generate_machine_info() -> dict[str, Any]:
    """Return what latency depends on."""
    return {
        "processor": processor(),
        "machine": platform.machine(),
        "system": platform.system(),
        "release": platform.release(),
        "python_version": platform.python_version(),
        "cpu": {"instruction_set": list(instruction_set()), "count": os.cpu_count()},
        "environment": {name: os.environ.get(name) for name in ENVIRONMENT},
        "packages": {name: version(name) for name in ("torch", "transformers", "onnxruntime", "pytest-benchmark")},
    }


@pytest.hookimpl(tryfirst=True)
def pytest_benchmark_generate_commit_info() -> dict[str, Any]:
    """Return nothing: the models timed are named by their hashes, not by a commit of the current folder."""
    return {"id": "unknown", "time": None, "author_time": None, "dirty": False, "project": "stabbench", "branch": ""}
