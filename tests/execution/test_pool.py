"""A worker that dies takes one cell with it; exclusive jobs run alone; nothing waits for what cannot come."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stabbench.execution.job import Job, Study, jobs_for
from stabbench.execution.pool import Pool
from stabbench.records import Cell
from stabbench.suite.schema import Data, Model, Task

# A worker without models: does what the cell's options say, and writes down when.
FAKE = """
import json, os, sys, time
log = open({log!r}, "a")
for line in sys.stdin:
    for cell in json.loads(line)["job"]["cells"]:
        say = lambda **event: print(json.dumps({{**event, "cell": cell["id"]}}), flush=True)
        say(event="started")
        start = time.monotonic()
        time.sleep(0.15)
        if cell["options"].get("die"):
            os.kill(os.getpid(), 9)
        log.write(json.dumps([cell["id"], start, time.monotonic()]) + "\\n"); log.flush()
        if cell["options"].get("fail"):
            say(event="error", error={{"type": "ValueError", "message": "no", "traceback": ""}})
            if cell["kind"] == "train":
                break
        else:
            say(event="done", seconds=0.0, key="k")
    print(json.dumps({{"event": "finished"}}), flush=True)
"""


def train(seed: str, **options: Any) -> Cell:
    return Cell(f"train/a/{seed}", "train", "a", seed, "dense", "train", {"train": {"threads": 1}, **options}, (), {})


def probe(name: str, seed: str, worker: Any = "torch", **options: Any) -> Cell:
    cell_id = f"{name}/a/{seed}/dense"
    return Cell(cell_id, "probe", "a", seed, "dense", name, options, (f"train/a/{seed}",), {}, worker)


def panel(*seeds: str) -> Cell:
    parents = tuple(f"train/a/{seed}" for seed in seeds)
    return Cell("latency", "panel", "", "", "", "latency", {}, parents, {}, "exclusive")


def run(
    cells: list[Cell], tmp_path: Path, jobs: int = 2, **settings: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    log = tmp_path / "log"
    events: list[dict[str, Any]] = []
    data = Data(source="builtin:tiny", train=1, test=1)
    pool = Pool(
        study=Study("s", ".", data, Task(), Model(name="m"), True),
        jobs=jobs,
        on_event=events.append,
        command=(sys.executable, "-c", FAKE.format(log=str(log))),
        **settings,
    )
    pool.run(jobs_for(cells, [cell.id for cell in cells]), ())
    lines = log.read_text().splitlines() if log.exists() else []
    return events, {cell: (start, end) for cell, start, end in map(json.loads, lines)}


def ended(events: list[dict[str, Any]], how: str) -> set[str]:
    return {event["cell"] for event in events if event["event"] == how}


def test_a_worker_that_dies_takes_only_the_cell_in_flight_with_it(tmp_path: Path) -> None:
    cells = [train("0"), probe("noise", "0", die=True), probe("other", "0"), train("1")]

    events, _ = run(cells, tmp_path)

    assert ended(events, "error") == {"noise/a/0/dense"}
    assert ended(events, "done") == {"train/a/0", "other/a/0/dense", "train/a/1"}
    (error,) = [event["error"] for event in events if event["event"] == "error"]
    assert "signal 9" in error["message"]


def test_what_depends_on_a_training_that_died_is_left_pending(tmp_path: Path) -> None:
    cells = [train("0", die=True), probe("noise", "0"), probe("attack", "0", "attack"), train("1"), panel("0", "1")]

    events, _ = run(cells, tmp_path)

    assert ended(events, "error") == {"train/a/0"}
    assert ended(events, "done") == {"train/a/1"}


def test_an_exclusive_job_runs_when_nothing_else_does(tmp_path: Path) -> None:
    cells = [train("0"), train("1"), probe("attack", "0", "attack"), probe("attack", "1", "attack"), panel("0", "1")]

    _, times = run(cells, tmp_path)

    start, end = times.pop("latency")
    assert all(other_end <= start or other_start >= end for other_start, other_end in times.values())


def test_two_jobs_run_side_by_side(tmp_path: Path) -> None:
    _, times = run([train("0"), train("1")], tmp_path)

    (first, second) = times.values()

    assert max(first[0], second[0]) < min(first[1], second[1])


def test_after_the_deadline_nothing_is_started(tmp_path: Path) -> None:
    events, _ = run([train("0")], tmp_path, deadline=time.monotonic() - 1)

    assert events == []


def test_jobs_keep_a_trial_together_and_alternate_arms_seed_by_seed() -> None:
    cells = [train("0"), train("1"), probe("noise", "0"), probe("attack", "0", "attack"), panel("0", "1")]

    jobs = jobs_for(cells, [cell.id for cell in cells])

    assert [[cell.id for cell in job.cells] for job in jobs] == [
        ["train/a/0", "noise/a/0/dense"],
        ["train/a/1"],
        ["attack/a/0/dense"],
        ["latency"],
    ]
    assert jobs[2].waits_for == {"train/a/0"}
    assert Job.from_json(json.loads(json.dumps(jobs[0].as_json()))) == jobs[0]


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_cell_is_done_once_whatever_the_number_of_jobs(tmp_path: Path, jobs: int) -> None:
    cells = [train(str(seed)) for seed in range(4)] + [probe("noise", str(seed)) for seed in range(4)]

    events, _ = run(cells, tmp_path, jobs=jobs)

    done = [event["cell"] for event in events if event["event"] == "done"]
    assert sorted(done) == sorted(cell.id for cell in cells)
