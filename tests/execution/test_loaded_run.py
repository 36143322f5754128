"""The Python API: what a loaded run gives equals its files, and importing the package costs nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from made_run import MakeRun, make_run
from made_shards import SUITE, write_cells

import stabbench
from stabbench.claims.claim import Claim
from stabbench.errors import ConfigurationError
from stabbench.store.cells import Store
from stabbench.store.run_folder import RunFolder

__all__ = ["make_run"]


@pytest.fixture(scope="module")
def run(make_run: MakeRun) -> RunFolder:
    return make_run(probes=("accuracy", "noise"), compressions=False)


def test_a_loaded_run_gives_what_its_files_hold(run: RunFolder) -> None:
    loaded = stabbench.load(run.path)

    assert loaded.verdict == json.loads((run.path / "verdict.json").read_text())
    assert [claim.as_dict() for claim in loaded.claims] == loaded.verdict["claims"]
    assert all(isinstance(claim, Claim) for claim in loaded.claims)
    assert isinstance(loaded.measurements, pd.DataFrame)
    assert list(loaded.measurements.columns)[:3] == ["variant", "seed", "compression"]
    assert len(loaded.measurements) == len(run.rows)
    assert loaded.report == run.path / "report.html"
    assert loaded.suite.compare.reference == "baseline"
    assert loaded.status == "complete"
    assert loaded.sentence in repr(loaded)


def test_a_claim_is_recomputed_from_the_measurements_with_pandas(run: RunFolder) -> None:
    loaded = stabbench.load(str(run.path))
    frame = loaded.measurements
    accuracy = frame[(frame["metric"] == "accuracy") & (frame["compression"] == "dense")]
    table = accuracy.pivot_table(index="seed", columns="variant", values="value")
    (claim,) = [c for c in loaded.claims if c.metric == "accuracy" and c.primary]

    assert claim.effect == pytest.approx((table["stabilized"] - table["baseline"]).mean())


def test_a_run_is_found_by_its_name_and_one_without_a_verdict_is_a_mistake(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/mine").symlink_to(run.path)
    Path("runs/killed").mkdir()
    Path("runs/killed/plan.json").write_text("{}")

    assert stabbench.load("mine").claims == stabbench.load(run.path).claims
    with pytest.raises(ConfigurationError, match="no run 'nothing'"):
        stabbench.load("nothing")
    with pytest.raises(ConfigurationError, match="no verdict yet"):
        stabbench.load("killed")


def test_comparing_hands_over_the_reference_and_the_candidate(
    run: RunFolder, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def compare_runs(reference: RunFolder, candidate: RunFolder, *, allow_drift: bool) -> str:
        asked.append((reference.path, candidate.path, allow_drift))
        return "compared"

    monkeypatch.setitem(sys.modules, "stabbench.execution.comparison", SimpleNamespace(compare_runs=compare_runs))
    other = make_run(probes=("accuracy",), compressions=False)

    assert stabbench.load(run.path).compare(other.path) == "compared"
    assert stabbench.compare(run.path, stabbench.load(other.path), allow_drift=True) == "compared"
    assert asked == [(other.path, run.path, False), (run.path, other.path, True)]


def test_run_does_a_suite_and_gives_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stabbench.execution.conclude.write_report", lambda folder: folder)
    (tmp_path / "s.yaml").write_text(SUITE)
    write_cells(Store(Path(".stabbench/store")), tmp_path / "s.yaml")

    found = stabbench.run(Path("s.yaml"), out=Path("runs/mine"))

    assert found.path == Path("runs/mine")
    assert found.verdict["cells"]["cached"] == 16
    with pytest.raises(TypeError):
        stabbench.run("s.yaml", sedes=3)


def test_an_unknown_name_is_an_attribute_error_and_the_known_ones_are_listed() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stabbench.nothing  # type: ignore[attr-defined]  # noqa: B018

    assert {"run", "load", "compare", "__version__"} <= set(dir(stabbench))


def test_importing_the_package_imports_nothing_heavy_and_loading_a_run_no_torch(run: RunFolder) -> None:
    code = (
        "import sys, json, stabbench\n"
        "first = [m for m in sys.modules if m.partition('.')[0] in "
        "('numpy', 'pandas', 'pydantic', 'torch', 'scipy', 'typer', 'rich', 'importlib.metadata')]\n"
        "own = [m for m in sys.modules if m.startswith('stabbench.')]\n"
        f"run = stabbench.load({str(run.path)!r}); run.claims; run.measurements; run.sentence\n"
        "second = [m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules]\n"
        "print(json.dumps([first, own, second]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == [[], [], []]
