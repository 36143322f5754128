"""`ls`: every run that is there, whatever became of it, from the small files alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stabbench.execution.listing import listing_text
from stabbench.store.run_list import newest_run, run_summaries, store_size

CELLS = {"planned": 9, "cached": 2, "done": 5, "errors": 1, "pending": 1}


def claim(verdict: str, primary: bool = True) -> dict[str, Any]:
    return {"verdict": verdict, "primary": primary}


def make(folder: Path, name: str, started: str, verdict: dict[str, Any] | None = None, **environment: Any) -> Path:
    path = folder / "runs" / name
    path.mkdir(parents=True)
    content = {"started": started, "smoke": False, **environment}
    (path / "environment.json").write_text(json.dumps(content))
    (path / "suite.resolved.yaml").write_text("schema: 1\nname: sst2-few\ndata:\n  name: other\n")
    if verdict is not None:
        whole = {
            "suite": "quick", "status": "complete", "cells": CELLS, "failed_runs": {"a": [1, 6]}, "claims": [],
            "gate": [], **verdict,
        }  # fmt: skip
        (path / "verdict.json").write_text(json.dumps(whole))
        (path / "plan.json").write_text("{}")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    claims = [claim("improved"), claim("improved"), claim("inconclusive"), claim("regressed", primary=False)]
    gate = [{"outcome": "pass"}, {"outcome": "fail"}]
    make(tmp_path, "b-first", "2026-01-01T10:00:00+00:00", {"claims": claims, "gate": gate})
    make(tmp_path, "a-second", "2026-02-01T10:00:00+00:00", {"status": "incomplete"})
    make(tmp_path, "smoke", "2026-03-01T10:00:00+00:00", {}, smoke=True)
    killed = make(tmp_path, "killed", "2026-03-02T10:00:00+00:00")
    running = make(tmp_path, "running", "2026-03-03T10:00:00+00:00")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (killed / "events.jsonl").write_text(json.dumps({"event": "run-started", "pid": gone.pid}) + "\n{torn")
    (running / "events.jsonl").write_text(json.dumps({"event": "run-started", "pid": os.getpid()}) + "\n")
    (tmp_path / "runs" / "no-run").mkdir()
    (tmp_path / "runs" / "file").write_text("")
    return tmp_path


def test_runs_are_listed_newest_first_with_their_state(folder: Path) -> None:
    found = run_summaries()

    assert [(run.name, run.suite, run.status) for run in found] == [
        ("running", "sst2-few", "running"),
        ("killed", "sst2-few", "killed"),
        ("smoke", "quick", "complete"),
        ("a-second", "quick", "incomplete"),
        ("b-first", "quick", "complete"),
    ]
    assert found[-1].verdicts == {"improved": 2, "inconclusive": 1}
    assert found[-1].gate == {"pass": 1, "fail": 1}
    assert found[-1].failed_runs == {"a": [1, 6]}
    assert found[0].cells is None


def test_the_newest_run_is_the_one_begun_last_that_has_a_verdict_and_is_no_smoke_run(folder: Path) -> None:
    newest = newest_run()

    assert newest is not None
    assert newest.path == Path("runs/a-second")


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    assert run_summaries(tmp_path / "runs") == []
    assert newest_run(tmp_path / "runs") is None
    assert store_size(tmp_path / "store") == {"path": str(tmp_path / "store"), "cells": 0, "bytes": 0}


def test_a_damaged_run_does_not_hide_the_others(folder: Path) -> None:
    (folder / "runs" / "a-second" / "verdict.json").write_text("{torn")
    (folder / "runs" / "b-first" / "environment.json").write_text("[]")

    found = {run.name: run.status for run in run_summaries()}

    assert found["a-second"] == "killed"
    assert "b-first" not in found
    assert len(found) == 4


def test_the_size_of_a_store_is_that_of_its_cells(tmp_path: Path) -> None:
    for key, size in (("aa1", 10), ("ab2", 20)):
        cell = tmp_path / "cells" / key[:2] / key / "model"
        cell.mkdir(parents=True)
        (cell / "weights").write_bytes(b"x" * size)
    (tmp_path / "drafts").mkdir()
    (tmp_path / "drafts" / "other").write_bytes(b"x" * 99)

    assert store_size(tmp_path) == {"path": str(tmp_path), "cells": 2, "bytes": 30}


def test_the_table_says_what_each_run_came_to(folder: Path) -> None:
    lines = listing_text(run_summaries(), {"path": "s", "cells": 3, "bytes": 2_000_000}).split("\n")

    assert lines[0].split()[:3] == ["run", "started", "suite"]
    assert "7/9" in lines[5]
    assert "a 1/6" in lines[5]
    assert lines[5].endswith("2 improved, 1 inconclusive  1 pass, 1 fail")
    assert "never a verdict" in lines[3]
    assert lines[-1] == "store: s, 3 cells, 2 MB"
    assert "begin with: stabbench run" in listing_text([], {"path": "s", "cells": 0, "bytes": 0})


def test_the_command_prints_a_table_or_one_document(folder: Path) -> None:
    command = [sys.executable, "-m", "stabbench", "ls"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    document = subprocess.run([*command, "--json", "--store", "x"], capture_output=True, text=True, check=True)

    assert text.stdout.count("\n") == 7
    content = json.loads(document.stdout)
    assert content["schema"] == 1
    assert [run["name"] for run in content["runs"]][:2] == ["running", "killed"]
    assert content["store"] == {"path": "x", "cells": 0, "bytes": 0}
