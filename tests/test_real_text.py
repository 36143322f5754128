"""On the real built-in model and real sentences: bit-equal trials, an honest verdict, a light second run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
SMALL = ["--set", "data.train=96", "--set", "data.test=100", "--set", "train.epochs=1", "--seeds", "2"]


def run(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "stabbench", "run", "quick", "--json", *SMALL, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def weights(folder: Path) -> dict[str, str]:
    records = [json.loads(p.read_text()) for p in (folder / ".stabbench/store/cells").glob("??/*/cell.json")]
    return {r["id"]: r["details"]["weights"] for r in records if r["kind"] == "train"}


@pytest.fixture(scope="module", autouse=True)
def _assets() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stabbench", "fetch", "quick"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the built-in assets cannot be fetched here: {done.stderr.strip().splitlines()[-1]}")


def test_the_same_trial_gives_bit_equal_weights_whatever_the_number_of_jobs(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()

    run(one, "--select", "kind=train", "--jobs", "1")
    run(two, "--select", "kind=train", "--jobs", "2")

    assert len(weights(one)) == 4
    assert weights(one) == weights(two)


def test_every_stage_of_the_default_suite_works_and_the_second_run_does_nothing(tmp_path: Path) -> None:
    first = run(tmp_path, "--jobs", "2")
    cells = set((tmp_path / ".stabbench/store/cells").glob("??/*"))
    second = run(tmp_path)

    assert first["status"] == "complete"
    assert first["cells"]["errors"] == 0
    assert {claim["metric"] for claim in first["claims"] if claim["primary"]} == {
        "accuracy",
        "train.failed",
        "noise.mce",
    }
    assert second["cells"]["cached"] == second["cells"]["planned"]
    assert second["claims"] == first["claims"]
    assert set((tmp_path / ".stabbench/store/cells").glob("??/*")) == cells
    assert (tmp_path / first["report"]).stat().st_size < 1_000_000
