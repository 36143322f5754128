"""Shards merged are the whole run; what does not belong together, or is damaged, is refused by name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_shards import SUITE, shard

from stabbench.errors import ConfigurationError, NotComparableError, StoreError
from stabbench.execution.conclude import write_report
from stabbench.execution.merge import merge
from stabbench.store.cells import Store
from stabbench.store.run_folder import RunFolder

FIRST, SECOND = "seed=0,seed=1", "seed=2,seed=3"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder; no report is drawn, which takes longer than everything else, but where a test asks for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stabbench.execution.conclude.write_report", lambda folder: folder)
    return tmp_path


def report_of(folder: Path) -> str:
    return write_report(RunFolder(folder)).read_text(encoding="utf-8")


@pytest.fixture
def shards(here: Path) -> list[RunFolder]:
    return [shard(here / "one", select=FIRST), shard(here / "two", select=SECOND)]


def merged(runs: list[RunFolder], here: Path, **options: Any) -> Any:
    return merge(runs, Store(here / "store"), here / "runs" / "all", **options)


def test_two_shards_merged_have_the_claims_and_measurements_of_the_whole_run(
    here: Path, shards: list[RunFolder]
) -> None:
    whole = shard(here / "whole")

    outcome = merged(shards, here)

    assert outcome.exit_code == 0
    assert outcome.verdict["status"] == "complete"
    assert outcome.verdict["claims"] == whole.verdict["claims"]
    assert outcome.verdict["failed_runs"] == whole.verdict["failed_runs"]
    assert outcome.verdict["cells"] == {"planned": 16, "cached": 0, "done": 16, "errors": 0, "pending": 0}
    assert RunFolder(here / "runs" / "all").rows == whole.rows
    assert all(shard.verdict["status"] == "complete" for shard in shards)
    assert {claim["verdict"] for claim in shards[0].verdict["claims"] if claim["primary"]} == {"incomplete"}


def test_the_merged_run_needs_its_shards_no_more(here: Path, shards: list[RunFolder]) -> None:
    merged(shards, here)
    for name in ("one", "two"):
        shutil.rmtree(here / name)

    run = RunFolder(here / "runs" / "all")

    assert run.store.root == (here / "store").resolve()
    assert all(run.cell(cell["id"]) is not None for cell in run.plan["cells"])
    assert [entry["run"] for entry in run.environment["merged"]] == ["run", "run"]


def test_a_cell_that_is_there_already_is_kept_and_merging_again_changes_nothing(
    here: Path, shards: list[RunFolder]
) -> None:
    first = merged(shards, here)
    before = {path: path.stat().st_mtime_ns for path in (here / "store" / "cells").glob("??/*/cell.json")}

    second = merged(list(reversed(shards)), here)

    assert {path: path.stat().st_mtime_ns for path in (here / "store" / "cells").glob("??/*/cell.json")} == before
    assert second.verdict["claims"] == first.verdict["claims"]
    assert not list((here / "store" / "drafts").iterdir())


def test_what_no_shard_has_leaves_the_run_incomplete(here: Path, shards: list[RunFolder]) -> None:
    outcome = merged(shards[:1], here)

    assert outcome.exit_code == 3
    assert outcome.verdict["status"] == "incomplete"
    assert outcome.verdict["cells"] == {"planned": 16, "cached": 0, "done": 8, "errors": 0, "pending": 8}


def test_an_error_of_a_shard_is_an_error_of_the_run_unless_another_shard_has_the_cell(
    here: Path, shards: list[RunFolder]
) -> None:
    lost = "accuracy/baseline/2/dense"
    plan = json.loads((shards[1].path / "plan.json").read_text())
    for cell in plan["cells"]:
        if cell["id"] == lost:
            cell.update(state="error", key=None)
    shards[1].write_json("plan.json", plan)
    error = {"type": "ValueError", "message": "broke", "traceback": "Traceback"}
    shards[1].append({"event": "cell-error", "cell": lost, "error": error})
    broken = [shards[0], RunFolder(shards[1].path)]

    outcome = merged(broken, here)

    assert outcome.exit_code == 3
    assert outcome.verdict["cells"]["errors"] == 1
    assert RunFolder(here / "runs" / "all").errors == {lost: error}
    assert "broke" in report_of(here / "runs" / "all")

    mended = merge([*broken, shard(here / "three", select="seed=2")], Store(here / "store"), here / "runs" / "b")

    assert mended.exit_code == 0


def test_runs_of_different_suites_are_refused_and_the_fields_are_named(here: Path, shards: list[RunFolder]) -> None:
    text = SUITE.replace("train: 16", "train: 15").replace("stabilizers: [{warmup: {}}]", "stabilizers: []")
    other = shard(here / "other", suite=text, select=SECOND)

    with pytest.raises(NotComparableError) as refused:
        merged([shards[0], other], here)

    assert "data.train: 16 in run, 15 in run" in str(refused.value)
    assert "variants.stabilized.stabilizers" in str(refused.value)
    assert refused.value.exit_code == 4
    assert not (here / "store").exists()
    assert not (here / "runs" / "all").exists()


def test_budget_and_description_do_not_decide_results_and_may_differ(here: Path, shards: list[RunFolder]) -> None:
    other = shard(here / "other", suite=SUITE + "budget: {jobs: 2}\ndescription: elsewhere\n", select=SECOND)

    assert merged([shards[0], other], here).exit_code == 0


@pytest.mark.parametrize(("field", "value"), [("device", "cuda"), ("engine", 0), ("libraries", {"torch": "0.1"})])
def test_shards_made_under_different_settings_are_refused(here: Path, field: str, value: Any) -> None:
    first = shard(here / "one", select=FIRST)
    # The run of the second shard is planned here, so that its cells must be told where they were made.
    second = shard(here / "two", select=SECOND)
    _remake(second, here / "two", {field: value})

    with pytest.raises(NotComparableError, match=field):
        merged([first, RunFolder(second.path)], here)

    if field == "engine":
        with pytest.raises(NotComparableError, match=field):
            merged([first, RunFolder(second.path)], here, allow_drift=True)
    else:
        outcome = merged([first, RunFolder(second.path)], here, allow_drift=True)
        assert outcome.exit_code == 0
        assert "not made alike" in report_of(here / "runs" / "all")


def _remake(run: RunFolder, folder: Path, static: dict[str, Any]) -> None:
    """Give a shard's plan the keys that its cells have where they were made."""
    from made_shards import write_cells

    store = Store(folder / "elsewhere")
    write_cells(store, folder / "sharded.yaml", SECOND, static=static)
    keys = {cell.record["id"]: cell.key for cell in store}
    plan = json.loads((run.path / "plan.json").read_text())
    for cell in plan["cells"]:
        cell["key"] = keys[cell["id"]]
    run.write_json("plan.json", {**plan, "store": str(store.root)})


def test_one_trial_trained_twice_to_other_weights_is_a_conflict(here: Path, shards: list[RunFolder]) -> None:
    again = shard(here / "again", select="seed=1,seed=2,seed=3", draw=1)

    with pytest.raises(NotComparableError, match="train/baseline/1: the trained weights"):
        merged([shards[0], again], here)


def test_the_target_store_may_not_hold_other_weights_of_a_trial(here: Path, shards: list[RunFolder]) -> None:
    other = shard(here / "other", select="seed=0", draw=1)

    with pytest.raises(NotComparableError, match="name another --store"):
        merge(shards, other.store, here / "runs" / "all")


@pytest.mark.parametrize("harm", ["weights", "predictions", "record"])
def test_a_damaged_cell_is_refused_and_named(here: Path, shards: list[RunFolder], harm: str) -> None:
    name = "train/baseline/0" if harm == "weights" else "accuracy/baseline/0/dense"
    cell = shards[0].cell(name)
    assert cell is not None
    if harm == "weights":
        (cell.folder / "model" / "model.safetensors").write_bytes(b"other")
    elif harm == "predictions":
        file = cell.folder / "predictions.npz"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0xFF
        file.write_bytes(bytes(content))
        with pytest.raises(Exception, match=r".*"), np.load(file) as arrays:
            _ = [arrays[name] for name in arrays]
    else:
        record = json.loads((cell.folder / "cell.json").read_text())
        record["static"]["seed" if "seed" in record["static"] else "dtype"] = "other"
        (cell.folder / "cell.json").write_text(json.dumps(record))

    with pytest.raises(StoreError, match=name):
        merged(shards, here)

    assert not (here / "store").exists()


def test_weights_that_a_shard_did_not_keep_are_no_damage(here: Path, shards: list[RunFolder]) -> None:
    for cell in shards[0].store:
        shards[0].store.drop_weights(cell.key)

    assert merged(shards, here).exit_code == 0


def test_a_shard_from_another_machine_is_found_with_the_store_beside_it(here: Path, shards: list[RunFolder]) -> None:
    shutil.move(here / "one", here / "downloaded")

    assert merged([RunFolder(here / "downloaded" / "runs" / "run"), shards[1]], here).exit_code == 0


def test_a_store_that_is_not_here_is_asked_for(here: Path, shards: list[RunFolder]) -> None:
    shutil.move(here / "one" / ".stabbench" / "store", here / "elsewhere")

    with pytest.raises(ConfigurationError, match=r"8 finished cells of run .* are in no store here; .*--from DIR"):
        merged(shards, here)

    assert merged(shards, here, more_stores=[here / "elsewhere"]).exit_code == 0


@pytest.mark.parametrize("wrong", ["twice", "itself", "other suite"])
def test_what_cannot_be_merged_is_a_mistake(here: Path, shards: list[RunFolder], wrong: str) -> None:
    runs, out = shards, here / "runs" / "all"
    if wrong == "twice":
        runs = [shards[0], shards[0]]
    elif wrong == "itself":
        out = shards[0].path
    else:
        shard(here, name="all", suite=SUITE.replace("sharded", "different"))

    with pytest.raises(ConfigurationError):
        merge(runs, Store(here / "store"), out)


def test_a_cell_of_the_target_store_that_no_shard_has_does_not_count(here: Path, shards: list[RunFolder]) -> None:
    merged(shards, here)

    outcome = merge(shards[:1], Store(here / "store"), here / "runs" / "half")

    assert outcome.verdict["cells"]["pending"] == 8


def test_the_command_ends_with_the_codes_of_the_contract(here: Path, shards: list[RunFolder]) -> None:
    """That of a whole run is tested on a real one, in test_end_to_end."""

    def stabbench(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stabbench", "merge", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=here)

    one = str(shards[0].path)
    part = stabbench(one, "--out", "runs/part", "--store", "store", "--json")
    same = stabbench(one, one)
    other = stabbench(one, str(shard(here / "other", suite=SUITE.replace("seeds: 4", "seeds: 5")).path))

    assert part.returncode == 3
    verdict = json.loads(part.stdout)
    assert verdict["run"] == "runs/part"
    assert (here / verdict["report"]).stat().st_size > 1000
    assert same.returncode == 2
    assert "given twice" in same.stderr
    assert other.returncode == 4
    assert "seeds: " in other.stderr
