"""The command on a run that was really done: text, JSON, the suite that tries the remedy, report, repetition."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from stabbench.diagnosis.apply import apply
from stabbench.diagnosis.diagnose import diagnose
from stabbench.diagnosis.repeat import nondeterminism
from stabbench.errors import ConfigurationError
from stabbench.records import Row
from stabbench.report.diagnosis import diagnosis as section_of
from stabbench.report.source import Source
from stabbench.runner import RunOptions, plan_for, run
from stabbench.store.run_folder import RunFolder
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: ill
data: {source: builtin:tiny, train: 192, test: 60}
model: builtin:tiny
seeds: [3, 5]
train: {epochs: 6, batch_size: 8, learning_rate: 4e-3, max_length: 16, precision: fp32}
variants:
  baseline: {train: {optimizer: bertadam}}
  sound: {stabilizers: [{warmup: {fraction: 0.2}}]}
probes: {accuracy: {}, gradient: {}}
compare: {primary: [train.failed, accuracy]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the suite was run; it is the current one."""
    path = tmp_path_factory.mktemp("ill")
    (path / "ill.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        run(RunOptions("ill.yaml", out=Path("runs/first")))
        yield path


@pytest.fixture
def first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.chdir(folder)
    return RunFolder.find("first")


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stabbench", "diagnose", *arguments]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_both_failed_runs_have_their_cause_and_the_sound_arm_has_nothing(first: RunFolder) -> None:
    found = diagnose(first)

    causes = {seed: next(f.rule for f in found.findings if f.seeds == (seed,)) for seed in ("3", "5")}
    assert causes == {"3": "front-loaded", "5": "front-loaded"}
    assert {finding.variant for finding in found.findings} == {"baseline"}
    assert found.unexplained == ()
    assert found.not_judged.keys() == {"batch-too-small"}, "the one monitor that has to be asked for"


def test_the_text_names_run_seed_evidence_and_remedy(folder: Path, first: RunFolder) -> None:
    done = command(folder, "first")
    lines = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == "run first of suite ill"
    assert lines[1] == "baseline: 2 of 2 runs failed, seed 3, 5"
    assert lines[2].startswith("  seed 3, 5: front-loaded (rule 5): Adam without bias correction")
    assert any(line.startswith("    seen  seed 3: the first update moves block.0 by") for line in lines)
    assert "    seen  alike in seed 5: --json has their numbers" in lines
    assert any('{"train": {"optimizer": "adamw"}, "stabilizers": [{"warmup"' in line for line in lines)
    assert "sound: 0 of 2 runs failed; nothing found" in lines
    assert lines[-1] == "next: stabbench diagnose first --apply"
    assert not list(folder.glob("*remedy*"))


def test_json_is_one_document_with_every_number(folder: Path, first: RunFolder) -> None:
    done = command(folder, "runs/first", "--json")
    content: dict[str, Any] = json.loads(done.stdout)

    assert content["schema"] == 1
    assert content["arms"] == {"baseline": {"runs": 2, "failed": ["3", "5"]}, "sound": {"runs": 2, "failed": []}}
    assert content["applied"] == []
    finding = content["findings"][0]
    assert set(finding) == {"rule", "number", "variant", "seeds", "signature", "cause", "evidence", "remedies"}
    assert all(set(e) == {"text", "numbers", "steps", "blocks", "figure"} for e in finding["evidence"])
    assert finding["remedies"][0]["fragment"]["train"] == {"optimizer": "adamw"}


def test_an_unknown_run_is_a_mistake_with_the_runs_that_there_are(folder: Path, first: RunFolder) -> None:
    done = command(folder, "secnd")

    assert done.returncode == 2
    assert "no run 'secnd'" in done.stderr
    assert "first" in done.stderr


def test_it_needs_no_torch(folder: Path, first: RunFolder) -> None:
    code = (
        "import sys\nfrom stabbench.cli import app\nsys.argv = ['stabbench', 'diagnose', 'first']\n"
        "try:\n    app()\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules], file=sys.stderr)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1] == "[]", done.stderr


def test_apply_writes_the_remedied_arm_beside_the_original_and_trains_that_one_alone(first: RunFolder) -> None:
    (made,) = apply(first, diagnose(first), Path())
    loaded = load_suite(str(made.path))
    suite = loaded.suite
    plan, _ = plan_for(RunOptions(str(made.path)))
    again = apply(first, diagnose(first), Path())[0].path

    assert suite.compare.reference == "baseline"
    assert list(suite.variants) == ["baseline", "baseline-remedied"]
    assert loaded.resolved["seeds"] == ["3", "5"]
    assert loaded.resolved["data"] == first.suite["data"]
    remedied = loaded.resolved["variants"]["baseline-remedied"]
    assert remedied["stabilizers"] == [{"warmup": {"fraction": 0.1}}]
    original = first.suite["variants"]["baseline"]
    assert loaded.resolved["variants"]["baseline"] == original
    assert remedied["train"] == {**original["train"], "optimizer": "adamw"}
    cached = {cell.id for cell in plan.cells if cell.id in plan.cached}
    assert cached == {cell.id for cell in plan.cells if cell.variant == "baseline"}
    assert again != made.path, "nothing is overwritten"
    assert made.command == f"stabbench run {made.path}"
    for path in (made.path, again):
        path.unlink()


def test_paths_of_the_suite_become_absolute_and_an_old_run_says_what_to_do(first: RunFolder, tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "good,yes\nbad,no\n" * 8)
    copy = tmp_path / "copy"
    shutil.copytree(first.path, copy)
    suite = dict(first.suite)
    suite["data"] = {"root": ".", **{name: {"path": f"{name}.csv"} for name in ("train", "test")}}
    suite["model"] = {"name": "mine"}
    (tmp_path / "mine").mkdir()
    RunFolder(copy).write_text("suite.resolved.yaml", json.dumps(suite))
    RunFolder(copy).write_json("plan.json", {**first.plan, "suite_folder": str(tmp_path)})
    moved = RunFolder(copy)

    (made,) = apply(moved, diagnose(moved), tmp_path)
    content = YAML(typ="safe").load(made.path.read_text())

    assert content["data"]["root"] == str(tmp_path.resolve())
    assert content["model"]["name"] == str((tmp_path / "mine").resolve())
    old = {name: value for name, value in first.plan.items() if name != "suite_folder"}
    RunFolder(copy).write_json("plan.json", old)
    with pytest.raises(ConfigurationError, match="Run the suite again"):
        apply(RunFolder(copy), diagnose(RunFolder(copy)), tmp_path)


def test_the_report_has_the_findings_in_words(first: RunFolder) -> None:
    section = section_of(Source(first))

    assert section is not None
    assert "something in baseline. Nothing was found in sound." in section.lead
    (table,) = section.tables
    assert table.rows[0][0].text == "baseline, seed 3, 5"
    assert "without bias correction" in table.rows[0][1].text
    assert "31.6 times the root" in table.rows[0][2].text


def test_the_report_has_no_section_where_there_is_nothing_to_say(first: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "calm"
    shutil.copytree(first.path, copy)
    suite = dict(first.suite)
    suite["variants"] = {"sound": suite["variants"]["sound"]}
    suite["compare"] = {**suite["compare"], "reference": "sound"}
    RunFolder(copy).write_text("suite.resolved.yaml", json.dumps(suite))

    assert section_of(Source(RunFolder(copy))) is None


def test_a_repetition_that_gives_other_numbers_is_told_and_an_equal_one_is_not(first: RunFolder) -> None:
    """Our trainings repeat bit for bit, so that the illness cannot be made by training: a number is changed by hand."""
    second = first.path.parent / "second"
    shutil.copytree(first.path, second)
    assert list(nondeterminism(first)) == []

    def changed(row: Row) -> Row:
        from dataclasses import replace

        hit = (row.variant, row.seed, row.measurement.metric) == ("sound", "5", "gradient.raw_norm")
        value = 123.0 if hit else row.measurement.value
        return replace(row, measurement=replace(row.measurement, value=value))

    RunFolder(second).write_rows([changed(row) for row in first.rows])
    (finding,) = nondeterminism(first)
    shutil.rmtree(second)

    assert (finding.rule, finding.variant, finding.seeds) == ("nondeterminism", "sound", ("5",))
    assert finding.evidence[0].numbers["there"] == 123.0
    assert "second" in finding.evidence[0].text


def test_weights_that_differ_when_they_are_made_again_are_told(first: RunFolder, tmp_path: Path) -> None:
    copy = tmp_path / "alone" / "run"
    shutil.copytree(first.path, copy)
    message = "train/sound/3: trained again, the weights differ (a against b)"
    RunFolder(copy).append({"event": "cell-error", "cell": "accuracy/sound/3/dense", "error": {"message": message}})

    (finding,) = nondeterminism(RunFolder(copy))

    assert (finding.variant, finding.seeds, finding.evidence[0].text) == ("sound", ("3",), message)


@pytest.mark.slow
def test_the_remedy_cures(first: RunFolder) -> None:
    """Both runs of the original arm fail, none of the remedied one does."""
    (made,) = apply(first, diagnose(first), Path())

    verdict = run(RunOptions(str(made.path), out=Path("runs/cured"))).verdict

    assert verdict["failed_runs"] == {"baseline": [2, 2], "baseline-remedied": [0, 2]}
