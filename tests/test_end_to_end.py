"""The whole road on a tiny model: plan, run, verdict, report; again; after a kill; with mistakes."""

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

import numpy as np
import pandas as pd
import pytest
from scipy import stats

SUITE = """\
schema: 1
name: little
data: {source: builtin:tiny, train: 128, test: 40}
model: builtin:tiny
seeds: 3
train: {epochs: 4, batch_size: 8, learning_rate: 2e-3, max_length: 16}
variants:
  baseline: {train: {optimizer: bertadam}}
  stabilized: {stabilizers: [{warmup: {fraction: 0.2}}, {clip_grad_norm: {max_norm: 1.0}}]}
probes: {accuracy: {}, noise: {kinds: [keyboard, word_drop], severities: [1, 5], examples: 20}}
compressions: [int8-dynamic]
compare: {primary: [accuracy, train.failed, noise.mce]}
budget: {jobs: 2}
"""
VERDICT_KEYS = {"schema", "suite", "run", "status", "cells", "failed_runs", "claims", "gate", "environment", "report"}
CLAIM_KEYS = {
    "id", "metric", "at", "primary", "reference", "candidate", "reference_value", "candidate_value", "effect",
    "interval", "level", "margin", "p", "test", "verdict", "reason", "n_seeds", "n_used", "n_planned", "reference_run",
}  # fmt: skip


def stabbench(folder: Path, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stabbench", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False)


def verdict_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def cells_on_disk(folder: Path) -> dict[str, float]:
    return {str(p): p.stat().st_mtime for p in (folder / ".stabbench" / "store" / "cells").glob("??/*/cell.json")}


def weights(folder: Path) -> dict[str, str]:
    records = [json.loads(Path(p).read_text()) for p in cells_on_disk(folder)]
    return {r["id"]: r["details"]["weights"] for r in records if r["kind"] == "train"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder in which the little suite was run once, and its verdict."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "little.yaml").write_text(SUITE)
    return folder, verdict_of(stabbench(folder, "run", "little.yaml", "--json", "--offline"))


def test_the_verdict_has_the_contracts_keys_and_adds_up(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, verdict = finished

    assert set(verdict) == VERDICT_KEYS
    assert all(set(claim) == CLAIM_KEYS for claim in verdict["claims"])
    cells = verdict["cells"]
    assert cells["planned"] == cells["done"] == 3 * 2 * (3 + 2)
    assert verdict["status"] == "complete"
    assert verdict["failed_runs"].keys() == {"baseline", "stabilized"}
    assert [c["metric"] for c in verdict["claims"] if c["primary"]] == ["accuracy", "train.failed", "noise.mce"]
    assert (folder / verdict["report"]).stat().st_size < 1_000_000


def test_every_number_of_the_accuracy_claim_is_recomputed_from_the_measurements(
    finished: tuple[Path, dict[str, Any]],
) -> None:
    folder, verdict = finished
    frame = pd.read_parquet(folder / verdict["run"] / "measurements.parquet")
    (claim,) = [c for c in verdict["claims"] if c["metric"] == "accuracy" and c["primary"]]

    dense = frame[(frame["metric"] == "accuracy") & (frame["compression"] == "dense")]
    table = dense.pivot_table(index="seed", columns="variant", values="value")
    difference = table["stabilized"] - table["baseline"]

    assert claim["reference_value"] == pytest.approx(table["baseline"].mean())
    assert claim["candidate_value"] == pytest.approx(table["stabilized"].mean())
    assert claim["effect"] == pytest.approx(difference.mean())
    if claim["p"] is not None:
        assert claim["p"] == pytest.approx(stats.ttest_1samp(difference, 0).pvalue)


def test_accuracy_is_recomputed_from_the_stored_predictions(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, verdict = finished
    frame = pd.read_parquet(folder / verdict["run"] / "measurements.parquet")
    plan = json.loads((folder / verdict["run"] / "plan.json").read_text())

    for cell in plan["cells"]:
        if cell["probe"] == "accuracy":
            stored = Path(plan["store"]) / "cells" / cell["key"][:2] / cell["key"]
            with np.load(stored / "predictions.npz") as arrays:
                expected = (arrays["label"] == arrays["predicted"]).mean()
            where = (frame["metric"] == "accuracy") & (frame["variant"] == cell["variant"])
            where &= (frame["seed"] == cell["seed"]) & (frame["compression"] == cell["compression"])
            assert frame[where]["value"].item() == pytest.approx(expected)


def test_a_second_run_does_nothing_and_says_the_same(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, first = finished
    before = cells_on_disk(folder)

    second = verdict_of(stabbench(folder, "run", "little.yaml", "--json", "--offline"))

    assert cells_on_disk(folder) == before
    assert second["cells"]["cached"] == second["cells"]["planned"]
    assert second["claims"] == first["claims"]


def test_shards_merged_have_the_claims_of_the_whole_run(finished: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, whole = finished
    runs = []
    for name, seeds in (("one", ("0",)), ("two", ("1", "2"))):
        # A shard's machine has done its own cells only; running it there finds them all.
        (tmp_path / name).mkdir()
        (tmp_path / name / "little.yaml").write_text(SUITE)
        for path in cells_on_disk(folder):
            if json.loads(Path(path).read_text())["seed"] in seeds:
                cell = Path(path).parent
                shutil.copytree(cell, tmp_path / name / cell.relative_to(folder))
        select = ",".join(f"seed={seed}" for seed in seeds)
        verdict = verdict_of(stabbench(tmp_path / name, "run", "little.yaml", "--json", "--select", select))
        assert verdict["cells"]["cached"] == verdict["cells"]["planned"]
        assert verdict["cells"]["planned"] == 10 * len(seeds)
        runs.append(f"{name}/{verdict['run']}")

    merged = verdict_of(stabbench(tmp_path, "merge", *runs, "--out", "runs/all", "--json"))

    assert merged["claims"] == whole["claims"]
    assert merged["failed_runs"] == whole["failed_runs"]
    assert merged["cells"]["done"] == whole["cells"]["planned"]
    assert (tmp_path / merged["report"]).stat().st_size > 10_000


def test_the_report_is_rendered_again_to_the_same_bytes(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, verdict = finished

    done = stabbench(folder, "report", Path(verdict["run"]).name, "-o", "again.html")

    assert done.returncode == 0, done.stderr
    assert (folder / "again.html").read_bytes() == (folder / verdict["report"]).read_bytes()


def test_other_jobs_and_threads_of_the_driver_give_bit_equal_weights(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder, _ = finished
    (tmp_path / "little.yaml").write_text(SUITE)

    done = stabbench(tmp_path, "run", "little.yaml", "--json", "--jobs", "1", "--select", "kind=train")

    assert done.returncode == 0, done.stderr
    assert weights(tmp_path) == weights(folder)


def test_after_kill_nine_the_same_command_ends_with_the_same_verdict(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, whole = finished
    (tmp_path / "little.yaml").write_text(SUITE)
    command = [sys.executable, "-m", "stabbench", "run", "little.yaml", "--json"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(cells_on_disk(tmp_path)) < 4 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = cells_on_disk(tmp_path)
    assert 4 <= len(kept) < whole["cells"]["planned"]

    resumed = verdict_of(stabbench(tmp_path, "run", "little.yaml", "--json"))

    assert resumed["claims"] == whole["claims"]
    after = cells_on_disk(tmp_path)
    assert all(after[path] == when for path, when in kept.items())
    assert not list((tmp_path / ".stabbench" / "store" / "drafts").iterdir())


def test_an_interrupted_run_reports_what_it_has_and_exits_130(tmp_path: Path) -> None:
    (tmp_path / "little.yaml").write_text(SUITE)
    command = [sys.executable, "-m", "stabbench", "run", "little.yaml", "--json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        # A shell starts background jobs deaf to Ctrl-C, and what they start inherits it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not cells_on_disk(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 130
    verdict = json.loads(output)
    assert verdict["status"] == "interrupted"
    assert verdict["cells"]["pending"] > 0


def test_max_time_leaves_the_rest_pending_and_exits_3(tmp_path: Path) -> None:
    (tmp_path / "little.yaml").write_text(SUITE)

    done = stabbench(tmp_path, "run", "little.yaml", "--json", "--max-time", "0.001s")

    assert done.returncode == 3
    assert json.loads(done.stdout)["cells"]["pending"] == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("epochs: 4", "epochs: 0"), "little.yaml:6:9"),
        (("stabilized: {stabilizers", "stabilized: {stabilisers"), "Did you mean 'stabilizers'"),
        (("{warmup:", "{warmpu:"), "Did you mean 'warmup'"),
        (("keyboard", "keybord"), "Did you mean 'keyboard'"),
        (("test: 40", "test: 4000"), "4000 examples asked for"),
    ],
)
def test_mistakes_exit_2_with_place_and_nearest_name_and_run_nothing(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    (tmp_path / "little.yaml").write_text(SUITE.replace(*change))

    done = stabbench(tmp_path, "run", "little.yaml")

    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert not (tmp_path / ".stabbench").exists()
    assert not (tmp_path / "runs").exists()


def test_a_training_that_turns_nan_is_a_failed_run_and_the_suite_goes_on(tmp_path: Path) -> None:
    text = SUITE.replace("seeds: 3", "seeds: 1").replace(
        "{optimizer: bertadam}", "{optimizer: bertadam, learning_rate: 1e30}"
    )
    (tmp_path / "little.yaml").write_text(text)

    done = stabbench(tmp_path, "run", "little.yaml", "--json")
    verdict = verdict_of(done)

    assert "warning: little.yaml:5:1  seeds: one seed" in done.stderr
    assert verdict["failed_runs"]["baseline"] == [1, 1]
    assert verdict["cells"]["errors"] == 0
    assert {c["verdict"] for c in verdict["claims"] if c["metric"] == "accuracy" and c["primary"]} == {"inconclusive"}


def test_json_is_one_document_and_logs_go_to_stderr(finished: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = finished

    done = stabbench(folder, "plan", "little.yaml", "--json")

    assert json.loads(done.stdout)["cached"] == 30
    assert "next:" not in done.stdout
