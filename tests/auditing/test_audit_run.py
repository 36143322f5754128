"""A whole audit on tiny checkpoints: what is in the report, that its suite does the same cells, that rows are equal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from auditing_texts import write_texts

import stabbench
from stabbench.errors import ConfigurationError
from stabbench.execution.loaded_run import LoadedRun


def command(folder: Path, *arguments: str, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    call = [sys.executable, "-m", "stabbench", *arguments]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=280, check=False, env=environment)


@pytest.fixture(scope="module")
def audited(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A folder in which two checkpoints were audited from the command line, the verdict, and what was logged."""
    folder = tmp_path_factory.mktemp("audit")
    write_texts(folder / "texts.tsv")
    done = command(
        folder, "audit", str(checkpoints["good"]), "--data", "texts.tsv", "--vs", str(checkpoints["flat"]), "--json",
        "--offline", "--out", "run", "--probes", "accuracy,noise", "--jobs", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout), done.stderr


@pytest.fixture(scope="module")
def shown(audited: tuple[Path, dict[str, Any], str]) -> str:
    """What `run` of the written suite shows on the terminal."""
    done = command(audited[0], "run", "run/audit.yaml", "--offline", "--out", "again")
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(folder: Path, run: str) -> pd.DataFrame:
    return pd.read_parquet(folder / run / "measurements.parquet")


def test_the_document_says_what_was_found_and_who_collapsed(audited: tuple[Path, dict[str, Any], str]) -> None:
    folder, verdict, _ = audited
    found = {entry["metric"]: entry["values"] for entry in verdict["audit"]["found"]}
    frame = rows(folder, "run")

    assert verdict["status"] == "complete"
    assert set(verdict["audit"]["checkpoints"]) == {"model", "other"}
    assert verdict["audit"]["checkpoints"]["model"]["collapsed"] is None
    assert "one class is predicted" in verdict["audit"]["checkpoints"]["other"]["collapsed"]
    for variant in ("model", "other"):
        where = (frame["variant"] == variant) & (frame["metric"] == "accuracy")
        assert found["accuracy"][variant]["value"] == frame[where]["value"].item()
        assert found["accuracy"][variant]["n_used"] == 120
    assert set(frame[frame["variant"] == "other"]["status"]) == {"failed-run"}


def test_claims_are_about_texts_and_collapse_is_not_called_robust(audited: tuple[Path, dict[str, Any], str]) -> None:
    _, verdict, _ = audited
    claims = {claim["metric"]: claim for claim in verdict["claims"]}

    assert {claim["n_seeds"] for claim in verdict["claims"]} == {None}
    assert claims["accuracy"]["test"] == "exact McNemar"
    assert claims["noise.worst_case"]["verdict"] == "not comparable"
    assert "noise.mce" not in claims


def test_the_report_reads_as_an_audit(audited: tuple[Path, dict[str, Any], str]) -> None:
    folder, verdict, _ = audited
    page = (folder / verdict["report"]).read_text()

    assert "other (collapsed)" in page
    assert "no robustness" in page
    assert "one training each says nothing about the training" in page
    for words in ("Training over seeds", "Failed runs: Boschloo", "seed 0", "Both arms"):
        assert words not in page
    assert len(page) < 1_000_000


def test_the_printed_suite_is_the_written_one_and_does_the_same_cells(
    audited: tuple[Path, dict[str, Any], str], shown: str
) -> None:
    folder, verdict, logged = audited
    written = (folder / "run" / "audit.yaml").read_text()

    cells = json.loads((folder / "again" / "verdict.json").read_text())["cells"]

    assert written in logged
    assert cells["cached"] == cells["planned"] == verdict["cells"]["planned"]
    pd.testing.assert_frame_equal(rows(folder, "run"), rows(folder, "again"))


def test_fresh_processes_with_other_hash_seeds_and_jobs_give_equal_rows(
    audited: tuple[Path, dict[str, Any], str], checkpoints: dict[str, Path]
) -> None:
    folder, _, _ = audited
    given = ["audit", str(checkpoints["good"]), "--data", "texts.tsv", "--vs", str(checkpoints["flat"]), "--json"]
    given += ["--offline", "--probes", "accuracy,noise", "--out", "third", "--store", "fresh", "--jobs", "2"]

    done = command(folder, *given, hash_seed="12345")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cells"]["done"] == 6
    pd.testing.assert_frame_equal(rows(folder, "run"), rows(folder, "third"))


def test_the_table_on_the_terminal_shows_every_number_with_its_n(
    audited: tuple[Path, dict[str, Any], str], shown: str
) -> None:
    _, verdict, _ = audited

    assert "other (collapsed)" in shown
    assert "! other has collapsed" in shown
    for entry in verdict["audit"]["found"]:
        (line,) = [line for line in shown.splitlines() if line.strip().startswith(f"{entry['what']}  ")]
        assert f"{entry['values']['model']['value']:.3f}" in line
        assert str(entry["values"]["model"]["n_used"]) in line


def test_a_callable_is_measured_as_the_model_that_it_is(
    checkpoints: dict[str, Path], texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stabbench.models.loading import load_subject

    monkeypatch.chdir(tmp_path)
    subject = load_subject(checkpoints["good"])
    asked: list[int] = []

    def predict(given: list[str]) -> np.ndarray:
        asked.append(len(given))
        return subject.probabilities(given)[:, ::-1]

    run = stabbench.audit(predict, texts, classes=("good", "bad"), vs=checkpoints["good"], out=tmp_path / "called",
                          probes=("accuracy", "noise"), offline=True)  # fmt: skip
    table = run.measurements.pivot_table(index=["metric", "at"], columns="variant", values="value")

    assert isinstance(run, LoadedRun)
    assert max(asked) <= 32
    for metric in ("accuracy", "macro_f1", "noise.accuracy", "noise.flip_rate", "noise.worst_case"):
        ours, its = (table.loc[[metric], variant].to_numpy() for variant in ("model", "other"))
        np.testing.assert_allclose(ours, its, atol=1e-9, err_msg=metric)
    (claim,) = [claim for claim in run.claims if claim.metric == "accuracy"]
    assert (claim.effect, claim.p) == (0.0, 1.0)


def test_what_a_callable_raises_is_its_cells_error(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def predict(given: list[str]) -> list[list[float]]:
        if len(given) > 1:
            raise RuntimeError("the server is down")
        return [[0.5, 0.5]]

    run = stabbench.audit(predict, texts, classes=("bad", "good"), probes=("accuracy",), out=tmp_path / "down")

    assert run.status == "incomplete"
    assert "the server is down" in run.folder.errors["train/model/0"]["message"]


def test_commands_about_seeds_and_trainings_refuse_an_audit(
    audited: tuple[Path, dict[str, Any], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from stabbench.diagnosis.diagnose import diagnose
    from stabbench.execution.comparison import gate_run
    from stabbench.store.run_folder import RunFolder

    monkeypatch.chdir(audited[0])
    run = RunFolder.find("run")

    with pytest.raises(ConfigurationError, match="no seeds to decide by"):
        gate_run(run)
    with pytest.raises(ConfigurationError, match="nothing was trained"):
        diagnose(run)


def test_what_looks_into_the_model_is_left_out_for_a_callable_and_said(texts: Path) -> None:
    from stabbench.auditing.audit import prepare
    from stabbench.auditing.request import AuditRequest

    asked = ("accuracy", "attack", "gradient", "embedding_attack")
    prepared = prepare(AuditRequest(lambda t: [[0.5, 0.5] for _ in t], texts, classes=("bad", "good"), probes=asked))

    assert "gradient is left out: it looks into the model" in " ".join(prepared.notes)
    assert "hotflip is left out" in " ".join(prepared.notes)
    assert "hotflip," not in prepared.text.replace("attack hotflip", "")
    assert "embedding_attack:" not in prepared.text
