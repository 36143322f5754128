"""Two attack workers, in processes of their own: differing in hash seed, home and order of the examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SESSION = Path(__file__).parent / "worker_session.py"


def _run(model: Path, home: Path, order: str, stock: str, hash_seed: str) -> dict[str, Any]:
    unwanted = (
        "HOME",
        "NLTK_DATA",
        "TA_CACHE_DIR",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "XDG_CACHE_HOME",
        "TOKENIZERS_PARALLELISM",
    )
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment.update(HOME=str(home), PYTHONHASHSEED=hash_seed, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    done = subprocess.run(
        [sys.executable, str(SESSION), str(model), order, stock],
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"stdout": done.stdout.splitlines()[:-1], "stderr": done.stderr}


@pytest.fixture(scope="session")
def session(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _run(tiny_model, tmp_path_factory.mktemp("home"), "forwards", "stock", "1")


@pytest.fixture(scope="session")
def other_session(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return _run(tiny_model, tmp_path_factory.mktemp("home"), "backwards", "-", "2")
