"""What a run leaves for CI: JUnit file, step summary, annotations; and nothing where there is no CI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from made_run import MakeRun, make_run
from made_shards import SUITE as SHARDED
from made_shards import write_cells
from typer.testing import CliRunner

from stabbench.cli import app
from stabbench.errors import ConfigurationError, Problem
from stabbench.execution.ci import announce_problems, check_writable, write_ci_files
from stabbench.store.cells import Store
from stabbench.store.run_folder import RunFolder

__all__ = ["make_run"]
SUITE = """\
schema: 1
name: made
gate:
  - {claim: noise.mce, not_worse_by: 0.05}
  - claim: accuracy
    compression: dense
    not_worse_by: 0.01
"""


@pytest.fixture(scope="module")
def run(make_run: MakeRun) -> RunFolder:
    return make_run(probes=("accuracy",), compressions=False)


@pytest.fixture(autouse=True)
def _no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STEP_SUMMARY", "ACTIONS", "SERVER_URL", "REPOSITORY", "RUN_ID"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)


def with_gate(run: RunFolder, outcome: str) -> dict[str, Any]:
    item = {
        "rule": {"claim": "accuracy", "not_worse_by": 0.01}, "claim": None, "outcome": outcome, "reason": "−3 points",
        "effect": -0.03, "interval": [-0.1, None], "bound": -0.01, "p": 0.9,
    }  # fmt: skip
    return {**run.verdict, "gate": [item]}


def test_without_ci_nothing_is_written_or_said(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(run.path.rglob("*"))

    write_ci_files(run, with_gate(run, "fail"), None)

    assert sorted(run.path.rglob("*")) == before
    assert capsys.readouterr() == ("", "")


def test_the_junit_file_holds_the_gate_and_the_cells_that_crashed(run: RunFolder, tmp_path: Path) -> None:
    target = tmp_path / "new" / "junit.xml"

    write_ci_files(run, with_gate(run, "fail"), target)

    root = ElementTree.parse(target).getroot()
    assert int(root.attrib["errors"]) == 1
    assert "gradient/baseline/0/dense" in {case.attrib["name"] for case in root.iter("testcase")}
    assert root.find("testsuite[@name='gate']/testcase/failure") is not None
    assert [path.name for path in target.parent.iterdir()] == ["junit.xml"]


def test_the_summary_is_appended_and_links_to_the_artifacts(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://example.org")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a/b")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")

    write_ci_files(run, run.verdict)
    write_ci_files(run, run.verdict)

    text = summary.read_text(encoding="utf-8")
    assert text.startswith("before\n## stabbench: made")
    assert text.count("## stabbench: made") == 2
    assert "([artifacts](https://example.org/a/b/actions/runs/7#artifacts))" in text


def test_a_summary_never_grows_beyond_what_github_takes(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summary.write_text("x" * 985_000)
    write_ci_files(run, run.verdict)
    once = summary.stat().st_size
    summary.write_text("x" * 995_000)
    write_ci_files(run, run.verdict)

    assert 985_000 < once <= 1_000_000
    assert summary.stat().st_size == 995_000
    assert "summary is full" in capsys.readouterr().err


def test_a_summary_that_cannot_be_written_ends_nothing(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))

    write_ci_files(run, run.verdict)

    assert "cannot be written" in capsys.readouterr().err


def test_annotations_go_to_standard_error_and_stand_at_the_rule_in_the_suite(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "made.yaml").write_text(SUITE)
    RunFolder(run.path).write_json("plan.json", {**run.plan, "suite_file": "made.yaml"})

    write_ci_files(run, with_gate(run, "fail"))
    here = capsys.readouterr()
    (tmp_path / "made.yaml").unlink()
    write_ci_files(run, with_gate(run, "undecided"))
    moved = capsys.readouterr()

    assert here.out == ""
    assert here.err.startswith("::error file=made.yaml,line=5,title=stabbench gate::fail: accuracy not worse by 0.01")
    assert moved.err.startswith("::warning title=stabbench gate::undecided: ")


@pytest.mark.parametrize("ci", [True, False])
def test_mistakes_of_a_suite_are_annotated_on_github_only(
    ci: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if ci:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")

    announce_problems([Problem("wrong", "a.yaml", 2, 3)])

    assert capsys.readouterr().err == ("::error file=a.yaml,line=2,col=3,title=stabbench::wrong\n" if ci else "")


def test_a_junit_file_that_cannot_be_is_a_mistake_found_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigurationError, match="is a folder"):
        check_writable("--junit", tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be made"):
        check_writable("--junit", tmp_path / "file" / "junit.xml")
    check_writable("--junit", tmp_path / "new" / "junit.xml")


def test_run_writes_the_junit_file_and_the_summary_and_prints_one_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stabbench.execution.conclude.write_report", lambda folder: folder)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    Path("sharded.yaml").write_text(SHARDED)
    write_cells(Store(Path(".stabbench/store")), Path("sharded.yaml"))

    command = ["run", "sharded.yaml", "--out", "runs/mine", "--junit", "new/junit.xml", "--json"]
    done = CliRunner().invoke(app, command)
    again = CliRunner().invoke(app, command)

    assert done.exit_code == again.exit_code == 0, done.output
    assert json.loads(done.stdout)["cells"]["cached"] == 16
    cases = {case.attrib["name"] for case in ElementTree.parse("new/junit.xml").getroot().iter("testcase")}
    assert {claim["id"] for claim in json.loads(done.stdout)["claims"]} <= cases
    assert Path("summary.md").read_text(encoding="utf-8").count("## stabbench: sharded") == 2


def test_a_wrong_junit_file_ends_with_2_and_runs_nothing_and_a_wrong_suite_is_annotated(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(SHARDED.replace("seeds: 4", "sedes: 4"))
    command = [sys.executable, "-m", "stabbench", "run"]
    environment = {**os.environ, "GITHUB_ACTIONS": "true"}

    folder = subprocess.run([*command, "--junit", "."], cwd=tmp_path, capture_output=True, text=True, check=False)
    suite = subprocess.run(
        [*command, "wrong.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False, env=environment
    )

    assert folder.returncode == suite.returncode == 2
    assert "--junit . is a folder" in folder.stderr
    assert "::error file=wrong.yaml,line=5,col=1,title=stabbench::" in suite.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wrong.yaml"]
