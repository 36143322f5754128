"""Adaptive seeds on a tiny model: a huge effect stops early, again, after a kill, and when time runs out."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from scipy import stats

from stabbench.statistics.sequential import Design

SUITE = """\
schema: 1
name: enough
data: {source: builtin:tiny, train: 128, test: 120}
model: builtin:tiny
seeds: {min: 3, max: 12, until: accuracy}
train: {epochs: 8, batch_size: 8, learning_rate: 1e-6, max_length: 16, precision: fp32}
variants:
  baseline: {}
  stabilized: {train: {learning_rate: 2e-3}}
compare: {primary: [accuracy]}
budget: {jobs: 2}
"""
LOOKS = (3, 5, 9, 12)
STOPPED = "stopped at look 2 of 4: 5 of 12 seeds, 58 % of the trials saved: accuracy improved"


def stabbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stabbench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


def cells_on_disk(folder: Path) -> set[str]:
    return {str(path) for path in (folder / ".stabbench" / "store" / "cells").glob("??/*/cell.json")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A folder in which the suite was run once, its verdict, and what it said meanwhile."""
    folder = tmp_path_factory.mktemp("adaptive")
    (folder / "enough.yaml").write_text(SUITE)
    done = stabbench(folder, "run", "enough.yaml", "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


def test_a_huge_effect_stops_early_and_only_what_was_needed_was_planned(
    finished: tuple[Path, dict[str, Any], str],
) -> None:
    folder, verdict, said = finished
    plan = json.loads((folder / verdict["run"] / "plan.json").read_text())

    assert verdict["cells"] == {"planned": 20, "cached": 0, "done": 20, "errors": 0, "pending": 0}
    assert verdict["status"] == "complete"
    assert {cell["seed"] for cell in plan["cells"]} == set("01234")
    assert plan["looks"]["text"] == STOPPED
    assert plan["looks"]["counts"] == list(LOOKS)
    assert "look 1 of 4, 3 of at most 12 seeds: accuracy is not decided" in said
    assert STOPPED in said


def test_its_claim_is_recomputed_from_the_measurements_at_the_level_of_the_look(
    finished: tuple[Path, dict[str, Any], str],
) -> None:
    folder, verdict, _ = finished
    frame = pd.read_parquet(folder / verdict["run"] / "measurements.parquet")
    (claim,) = [claim for claim in verdict["claims"] if claim["primary"]]

    table = frame[frame["metric"] == "accuracy"].pivot_table(index="seed", columns="variant", values="value")
    expected = stats.ttest_1samp(table["stabilized"] - table["baseline"], 0)
    level = Design(LOOKS).level(1)
    assert claim["level"] == pytest.approx(1 - level)
    assert claim["p"] == pytest.approx(expected.pvalue)
    assert claim["interval"] == pytest.approx(list(expected.confidence_interval(1 - level)))
    assert (claim["verdict"], claim["n_used"], claim["n_planned"]) == ("improved", 5, 5)
    assert "look 2 of 4, 5 of at most 12 seeds" in claim["reason"]
    assert "58 % of the trials saved" in claim["reason"]


def test_the_report_and_the_events_say_what_was_saved(finished: tuple[Path, dict[str, Any], str]) -> None:
    folder, verdict, _ = finished
    page = (folder / verdict["report"]).read_text()
    events = [json.loads(line) for line in (folder / verdict["run"] / "events.jsonl").read_text().splitlines()]

    assert f"5, paired; {STOPPED}" in page
    assert "The number of seeds was chosen by looking at accuracy after 3, 5, 9 and 12 seeds" in page
    assert [(e["look"], e["seeds"], e["ending"]) for e in events if e["event"] == "look"] == [
        (1, 3, "open"),
        (2, 5, "decided"),
    ]


def test_the_same_command_again_does_nothing_and_decides_the_same(finished: tuple[Path, dict[str, Any], str]) -> None:
    folder, first, _ = finished
    before = cells_on_disk(folder)

    done = stabbench(folder, "run", "enough.yaml")
    again = json.loads((sorted((folder / "runs").iterdir())[-1] / "verdict.json").read_text())
    plan = json.loads(stabbench(folder, "plan", "enough.yaml", "--json").stdout)

    assert done.returncode == 0, done.stderr
    assert f"seeds: {STOPPED}" in done.stdout
    assert cells_on_disk(folder) == before
    assert again["cells"]["cached"] == again["cells"]["planned"] == 20
    assert again["claims"] == first["claims"]
    assert (plan["planned"], plan["to_run"], plan["looks"]["stopped"]) == (20, 0, STOPPED)


def test_after_kill_nine_the_same_command_ends_with_the_same_verdict(
    finished: tuple[Path, dict[str, Any], str], tmp_path: Path
) -> None:
    (tmp_path / "enough.yaml").write_text(SUITE)
    # The first look's cells are taken over, so that the kill falls into the second.
    for name in cells_on_disk(finished[0]):
        cell = Path(name).parent
        if json.loads(Path(name).read_text())["seed"] in ("0", "1", "2"):
            shutil.copytree(cell, tmp_path / ".stabbench" / "store" / "cells" / cell.parent.name / cell.name)
    assert len(cells_on_disk(tmp_path)) == 12
    command = [sys.executable, "-m", "stabbench", "run", "enough.yaml", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while len(cells_on_disk(tmp_path)) < 13 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = cells_on_disk(tmp_path)
    assert 13 <= len(kept) < 20

    done = stabbench(tmp_path, "run", "enough.yaml", "--json")

    assert done.returncode == 0, done.stderr
    resumed = json.loads(done.stdout)
    assert resumed["claims"] == finished[1]["claims"]
    assert resumed["cells"]["planned"] == 20
    assert kept <= cells_on_disk(tmp_path)


def test_time_that_runs_out_leaves_the_first_look_pending_and_exits_3(tmp_path: Path) -> None:
    (tmp_path / "enough.yaml").write_text(SUITE)

    done = stabbench(tmp_path, "run", "enough.yaml", "--json", "--max-time", "0.001s")

    assert done.returncode == 3
    verdict = json.loads(done.stdout)
    assert verdict["cells"] == {"planned": 12, "cached": 0, "done": 0, "errors": 0, "pending": 12}
    assert {claim["verdict"] for claim in verdict["claims"] if claim["primary"]} == {"incomplete"}


def test_the_plan_of_a_fresh_store_tells_the_looks_the_most_and_the_expected(tmp_path: Path) -> None:
    (tmp_path / "enough.yaml").write_text(SUITE)

    said = stabbench(tmp_path, "plan", "enough.yaml").stdout

    assert "looks     after 3, 5, 9 and 12 seeds, until accuracy is decided or hardly can be: at most 48 cells" in said
    assert "2 variants × at most 12 seeds × (train + accuracy) = 48 cells" in said
