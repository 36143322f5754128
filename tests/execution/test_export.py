"""Exports are read by the tools they are for, and hold what the run holds."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from made_run import MakeRun, make_run

from stabbench.errors import ConfigurationError
from stabbench.execution.export import FORMATS, export, write_whole
from stabbench.records import Cell, Measurement, Row
from stabbench.store.run_folder import RunFolder

__all__ = ["make_run"]


@pytest.fixture(scope="module")
def run(make_run: MakeRun) -> RunFolder:
    return make_run(probes=("accuracy",), compressions=False)


def test_csv_holds_every_measurement_and_tells_nan_from_unknown(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path)
    unknown = Row("baseline", None, "dense", "seeds", Measurement("seeds.sd", None, "share", "lower", {"a": 1}))
    infinite = Row("baseline", "0", "dense", "train", Measurement("x", math.inf, "norm", "lower"))
    copy.write_rows([*run.rows, unknown, infinite])

    text = export(copy, "csv").decode()

    frame = pd.read_csv(io.StringIO(text), keep_default_na=False)
    assert list(frame.columns) == list(pd.read_parquet(run.path / "measurements.parquet").columns)
    assert len(frame) == len(run.rows) + 2
    assert list(frame["value"].iloc[-2:]) == ["", "Infinity"]
    assert "NaN" in set(frame["value"])
    assert json.loads(frame["at"].iloc[-2]) == {"a": 1}
    known = [row.measurement.value for row in run.rows]
    assert [float(value) for value in frame["value"].iloc[:-2]] == pytest.approx(known, nan_ok=True)


def test_parquet_is_the_runs_own_file(run: RunFolder) -> None:
    frame = pd.read_parquet(io.BytesIO(export(run, "parquet")))

    assert len(frame) == len(run.rows)


def test_junit_markdown_and_benchmark_json_hold_every_claim(run: RunFolder) -> None:
    claims = run.verdict["claims"]

    root = ElementTree.fromstring(export(run, "junit"))
    names = {case.attrib["name"] for case in root.iter("testcase")}
    assert {claim["id"] for claim in claims} <= names
    assert "gradient/baseline/0/dense" in names
    assert f"{sum(not claim['primary'] for claim in claims)} secondary claims" in export(run, "markdown").decode()
    entries = json.loads(export(run, "github-benchmark"))
    assert {entry["name"] for entry in entries} <= {claim["id"] for claim in claims}
    assert entries


def rounds(process: int) -> dict[str, Any]:
    """What pytest-benchmark leaves of one process: two subjects and the replicate of the first."""
    named = "min max mean stddev median iqr q1 q3 hd15iqr ld15iqr ops total"
    stats = {
        **dict.fromkeys(named.split(), 0.5), "rounds": 2, "iterations": 1, "outliers": "0;0", "iqr_outliers": 0,
        "stddev_outliers": 0, "data": [0.5, 0.5],
    }  # fmt: skip
    benchmarks = [
        {
            "group": None, "name": f"test_turn[{subject}]", "fullname": f"rounds.py::test_turn[{subject}]",
            "params": {}, "param": None, "options": {}, "stats": stats,
            "extra_info": {"kind": "turn", "subject": subject, "batch": 1, "length": 32, "block": 0},
        }
        for subject in range(3)
    ]  # fmt: skip
    return {
        "machine_info": {"processor": f"CPU {process}"}, "commit_info": {"id": "unknown", "dirty": False},
        "benchmarks": benchmarks, "datetime": "2026-01-01T00:00:00", "version": "5.3.1",
    }  # fmt: skip


@pytest.fixture
def timed(make_run: MakeRun) -> RunFolder:
    """A run whose latency panel was made by another suite, which calls the variants otherwise."""
    run = make_run(probes=("accuracy",), compressions=False)
    members = [["old", "7", "dense"], ["other", "7", "int8-dynamic"]]
    cell = Cell("latency", "panel", "", "", "", "latency", {"members": members}, (), {"id": "latency"})
    who = [(*members[0], 0), (*members[1], 0), (*members[0], 1)]
    subjects = [
        {"variant": v, "seed": s, "compression": c, "replicate": r, "batch": 1, "length": 32} for v, s, c, r in who
    ]
    with run.store.draft("latency") as draft:
        for process in (0, 1, 10):
            (draft / f"rounds-{process}.json").write_text(json.dumps(rounds(process)))
        (draft / "latency.json").write_text(json.dumps({"processes": [{"subjects": subjects}]}))
        run.store.finish(draft, "latency", cell, [], {}, 1.0, {})
    mine = [["baseline", "0", "dense"], ["stabilized", "0", "int8-dynamic"]]
    entry = {
        "id": "latency", "kind": "panel", "key": "latency", "state": "done", "variant": "", "seed": "",
        "compression": "", "probe": "latency", "options": {"members": mine},
    }  # fmt: skip
    run.write_json("plan.json", {**run.plan, "cells": [*run.plan["cells"], entry]})
    return RunFolder(run.path)


def test_pytest_benchmark_reads_the_latency_of_all_processes_under_this_runs_names(
    timed: RunFolder, tmp_path: Path
) -> None:
    file = tmp_path / "latency.json"
    write_whole(file, export(timed, "pytest-benchmark"))

    content = json.loads(file.read_text())
    names = [item["name"] for item in content["benchmarks"]]
    assert len(set(names)) == len(names) == 9
    assert names[:3] == [
        "baseline@dense, batch 1, length 32, process 0, turn 0",
        "stabilized@int8-dynamic, batch 1, length 32, process 0, turn 0",
        "baseline@dense (A/A replicate), batch 1, length 32, process 0, turn 0",
    ]
    command = [sys.executable, "-m", "pytest_benchmark", "compare", str(file), "--columns=median", "--group-by=group"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9 tests" in done.stdout
    assert "stabilized@int8-dynamic, batch 1, length 32, process 2, turn 0" in done.stdout


def test_a_run_without_latency_or_a_format_that_is_not_there_is_a_mistake(run: RunFolder) -> None:
    with pytest.raises(ConfigurationError, match="no finished latency cell"):
        export(run, "pytest-benchmark")
    with pytest.raises(ConfigurationError, match="Did you mean 'junit'"):
        export(run, "juint")


def test_a_file_is_written_whole_or_the_mistake_is_told(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "file", b"content")

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_whole(tmp_path / "new" / "file" / "below", b"content")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_whole(tmp_path / "new", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pytest-benchmark"])
def test_the_command_writes_what_the_function_gives(run: RunFolder, name: str, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from stabbench.cli import app

    target = tmp_path / "out"
    done = CliRunner().invoke(app, ["export", str(run.path), "--format", name, "-o", str(target)])

    assert done.exit_code == 0, done.output
    assert done.output == f"{target}\n"
    assert target.read_bytes() == export(run, name)
    if name != "parquet":
        shown = CliRunner().invoke(app, ["export", str(run.path), "--format", name])
        assert shown.output.encode() == export(run, name)


def test_binary_formats_need_a_file(run: RunFolder) -> None:
    from typer.testing import CliRunner

    from stabbench.cli import app

    done = CliRunner().invoke(app, ["export", str(run.path), "--format", "parquet"])

    assert isinstance(done.exception, ConfigurationError)
    assert "name a file with -o" in str(done.exception)
