"""Accept a run, change the recipe, gate: from fresh stores, by the command line, with the exit codes CI sees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# A recipe that learns the tiny data set: 91 to 95 % with every seed, against 50 % at a hundredth of its learning rate.
SUITE = """\
schema: 1
name: recipe
data: {source: builtin:tiny, train: 256, test: 100}
model: builtin:tiny
seeds: 3
train: {epochs: 4, batch_size: 8, learning_rate: 4e-3, max_length: 16, precision: fp32}
variants:
  recipe: {}
compare: {reference: recipe, primary: [accuracy, train.failed]}
gate:
  - {claim: accuracy, not_worse_by: 0.05}
  - {claim: accuracy, at_least: 0.6}
  - {claim: train.failed, not_worse_by: 0.2, known: three seeds cannot show it}
budget: {jobs: 1}
"""
WORSE = "train.learning_rate=4e-5"
Done = subprocess.CompletedProcess[str]


def stabbench(folder: Path, *arguments: str) -> Done:
    command = [sys.executable, "-m", "stabbench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def project(folder: Path, accepted: Path | None = None) -> Path:
    """A folder with the suite, a fresh store, and the baseline that was committed."""
    folder.mkdir(exist_ok=True)
    (folder / "recipe.yaml").write_text(SUITE)
    if accepted is not None:
        shutil.copytree(accepted / "baselines", folder / "baselines")
    return folder


def gated(done: Done) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the recipe was run once and accepted."""
    folder = project(tmp_path_factory.mktemp("accepted"))
    done = stabbench(folder, "run", "recipe.yaml", "--out", "runs/first", "--offline")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gate: 1 passed" in done.stdout
    done = stabbench(folder, "accept", "first", "--reason", "first recipe")
    assert done.returncode == 0, done.stderr
    return folder


def test_the_gate_catches_a_worse_learning_rate_from_a_fresh_store(accepted: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / "worse", accepted)

    run = stabbench(folder, "run", "recipe.yaml", "--out", "runs/worse", "--offline", "--set", WORSE)
    done = stabbench(folder, "gate", "worse", "--against", "baselines/recipe.json", "--json")

    # The rule about its own value fails within the run already.
    assert run.returncode == 1
    assert done.returncode == 1
    document = gated(done)
    outcomes = {(e["rule"]["claim"], next(iter(set(e["rule"]) - {"claim", "known"}))): e for e in document["gate"]}
    assert outcomes["accuracy", "not_worse_by"]["outcome"] == "fail"
    assert outcomes["accuracy", "not_worse_by"]["effect"] < -0.3
    assert outcomes["train.failed", "not_worse_by"]["outcome"] == "known"
    assert "variants.recipe.train.learning_rate: 0.004 then, 4e-05 now" in document["notes"]

    compared = stabbench(folder, "compare", "baselines/recipe.json", "worse")
    assert compared.returncode == 0
    assert "regressed: accuracy, recipe vs run first" in compared.stdout

    report = (folder / "runs" / "worse" / "report.html").read_text()
    assert 'class="verdict gate-fail"' in report


def test_the_gate_passes_an_unchanged_run_from_a_fresh_store(accepted: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / "same", accepted)

    run = stabbench(folder, "run", "recipe.yaml", "--out", "runs/same", "--offline", "--inconclusive", "fail")
    done = stabbench(folder, "gate", "same", "--against", "baselines/recipe.json", "--inconclusive", "fail", "--json")

    assert (run.returncode, done.returncode) == (0, 0), run.stderr + done.stdout
    document = gated(done)
    assert {entry["outcome"] for entry in document["gate"]} == {"pass"}
    assert [entry["effect"] for entry in document["gate"] if "not_worse_by" in entry["rule"]] == [0.0, 0.0]
    assert document["notes"] == document["drift"] == []
    assert sum("the same weights in both runs, bit for bit" in entry["reason"] for entry in document["gate"]) == 2


def test_a_run_that_was_cut_short_is_incomplete_and_no_baseline(accepted: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / "cut", accepted)

    done = stabbench(folder, "run", "recipe.yaml", "--out", "runs/cut", "--json", "--max-time", "0.001s")

    assert done.returncode == 3
    assert {entry["outcome"] for entry in gated(done)["gate"]} == {"incomplete"}
    assert stabbench(folder, "gate", "cut", "--against", "baselines/recipe.json").returncode == 3
    assert stabbench(folder, "accept", "cut", "--reason", "x").returncode == 3


def test_another_test_set_is_not_comparable(accepted: Path, tmp_path: Path) -> None:
    folder = project(tmp_path / "other", accepted)
    quick = ("--set", "train.epochs=1", "--set", "data.test=60", "--seeds", "1", "--set", "data.train=32")
    stabbench(folder, "run", "recipe.yaml", "--out", "runs/other", "--offline", *quick)

    done = stabbench(folder, "compare", "baselines/recipe.json", "other")

    assert done.returncode == 4
    assert "test examples:" in done.stderr


def test_the_commands_import_no_torch(accepted: Path) -> None:
    code = (
        "import sys\nfrom stabbench.cli import app\n"
        "sys.argv = ['stabbench', 'gate', 'first', '--against', 'baselines/recipe.json']\n"
        "try:\n    app()\nexcept SystemExit as ended:\n    code = ended.code\n"
        "sys.exit(100 if 'torch' in sys.modules else code)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=accepted, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_same_on_a_real_encoder_and_real_sentences(tmp_path: Path) -> None:
    suite = SUITE.replace("builtin:tiny, train: 256, test: 100", "builtin:rotten-tomatoes, train: 96, test: 100")
    suite = suite.replace("model: builtin:tiny", "model: builtin:minilm-l6").replace("epochs: 4", "epochs: 2")
    suite = suite.replace("batch_size: 8, learning_rate: 4e-3, max_length: 16", "learning_rate: 1e-4, max_length: 48")
    suite = suite.replace("precision: fp32", "precision: auto")
    for name in ("first", "worse", "same"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_text(suite)
    first = stabbench(tmp_path / "first", "run", "recipe.yaml", "--out", "runs/first")
    assert first.returncode == 0, first.stdout + first.stderr
    assert stabbench(tmp_path / "first", "accept", "first", "--reason", "first recipe").returncode == 0

    codes = {}
    for name, change in (("worse", ("--set", "train.learning_rate=1e-6")), ("same", ())):
        folder = tmp_path / name
        shutil.copytree(tmp_path / "first" / "baselines", folder / "baselines")
        stabbench(folder, "run", "recipe.yaml", "--out", f"runs/{name}", *change)
        codes[name] = stabbench(folder, "gate", name, "--against", "baselines/recipe.json").returncode

    assert codes == {"worse": 1, "same": 0}
