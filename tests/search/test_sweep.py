"""A sweep: what it reads of its runs, what it says, and the whole road on a tiny model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stabbench.errors import ConfigurationError
from stabbench.report.sweep_page import headline, sweep_text, write_page
from stabbench.runner import RunOptions
from stabbench.search.sweep import describe, sweep
from stabbench.suite.load import LoadedSuite

GRID = [1e-5, 1e-4, 1e-3]


def document(loaded: LoadedSuite, failed: dict[str, list[str]], **more: Any) -> dict[str, Any]:
    """Six seeds; `failed`: variant → for each value the seeds that failed."""
    runs = [
        {
            name: {s: (0.5 if s in seeds[index] else 0.9 - 0.1 * index, s in seeds[index]) for s in "012345"}
            for name, seeds in failed.items()
        }
        for index in range(len(GRID))
    ]
    found = describe(loaded.suite, "train.learning_rate", GRID, runs, 0.5)
    return {**found, "status": "complete", "smoke": False, "runs": ["runs/x"], "report": "sweep.html", **more}


@pytest.fixture
def found(loaded: LoadedSuite) -> dict[str, Any]:
    return document(loaded, {"baseline": ["", "012", "012345"], "stabilized": ["", "", "5"]})


def test_figures_are_those_of_each_arm_over_the_same_grid(found: dict[str, Any]) -> None:
    baseline, stabilized = found["variants"]["baseline"], found["variants"]["stabilized"]

    assert [p["failed"] for p in baseline["points"]] == [0, 3, 6]
    assert baseline["margin"]["value"] == 1e-5
    assert baseline["half_failure"]["value"] == pytest.approx(1e-4)
    assert baseline["sensitivity"]["value"] == pytest.approx(0.9 - (0.9 + (0.8 + 0.5) / 2 + 0.5) / 3)
    assert stabilized["margin"]["value"] == 1e-4
    assert stabilized["half_failure"]["value"] is None
    assert (stabilized["best"]["value"], stabilized["best"]["at"]) == (pytest.approx(0.9), 1e-5)


def test_failed_runs_are_compared_by_seed_and_not_run_by_run(found: dict[str, Any]) -> None:
    """Differences by seed: −2 for 0, 1, 2; −1 for 3, 4; 0 for 5. Five equal signs of 2⁵: p = 2/32."""
    (pair,) = found["comparisons"]

    assert (pair["pairs"], pair["failed"], pair["n_seeds"]) == (18, [9, 1], 6)
    assert pair["p"] == pytest.approx(2 / 32)
    assert pair["margin_ratio"] == pytest.approx(10.0)
    assert "baseline failed in 9 and stabilized in 1 of 18 runs (p = 0.062" in headline(found)


def test_the_text_has_every_value_and_every_figure(found: dict[str, Any]) -> None:
    text = sweep_text(found)

    for part in ("0.0001", "3/6 failed, 0.650", "stability margin", "0.900 at 1e-05", "not enclosed"):
        assert part in text, part


def test_the_page_loads_nothing_closes_its_tags_and_repeats_its_bytes(found: dict[str, Any], tmp_path: Path) -> None:
    write_page(found, tmp_path / "a.html")
    write_page(found, tmp_path / "b.html")
    html = (tmp_path / "a.html").read_text(encoding="utf-8")

    assert html == (tmp_path / "b.html").read_text(encoding="utf-8")
    assert not re.search(r'src=|href="http|@import|url\((?!#)', html)
    assert "aria-labelledby" in html
    assert "#01020" not in html
    assert [html.count(f"<{tag}") - html.count(f"</{tag}>") for tag in ("table", "section", "svg", "ul")] == [0] * 4
    assert 'data-value="0.5"' in html, "three of six runs failed"


def test_a_sweep_without_any_finished_run_is_still_told(loaded: LoadedSuite, tmp_path: Path) -> None:
    nothing = {**describe(loaded.suite, "train.learning_rate", GRID, [], 0.5), "status": "incomplete"}
    nothing |= {"smoke": True, "runs": [], "report": "sweep.html"}

    write_page(nothing, tmp_path / "page.html")

    assert "no run has finished" in sweep_text(nothing)
    assert "never a verdict" in sweep_text(nothing)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("stabilizers.warmup.fraction=0.1..0.5", "baseline has no such option"),
        ("train.optimizer=adamw,sgd", "over numbers above 0"),
        ("train.weight_decay=0..0.1", "over numbers above 0"),
        ("train.epochs=2,2", "one value is no sweep"),
    ],
)
def test_a_grid_that_not_every_arm_can_have_is_refused(suite_file: Path, over: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        sweep(RunOptions(str(suite_file), store=tmp_path / "store", out=tmp_path / "out"), over, 3)

    assert not (tmp_path / "out").exists()


def test_a_sweep_of_a_tiny_model_and_the_same_again(suite_file: Path) -> None:
    command = [sys.executable, "-m", "stabbench", "sweep", suite_file.name, "--over", "train.learning_rate=1e-3..1e30"]
    command += ["--points", "2", "--out", "swept", "--json", "--offline"]

    def run() -> dict[str, Any]:
        done = subprocess.run(command, cwd=suite_file.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        content: dict[str, Any] = json.loads(done.stdout)
        return content

    first = run()
    cells = {p: p.stat().st_mtime_ns for p in (suite_file.parent / ".stabbench").rglob("cell.json")}
    again = run()

    assert first["status"] == "complete"
    assert [p["failed"] for p in first["variants"]["baseline"]["points"]][1] == 2, "1e30 cannot be survived"
    assert {p.stat().st_mtime_ns for p in (suite_file.parent / ".stabbench").rglob("cell.json")} == set(cells.values())
    probes = [json.loads(path.read_text())["probe"] for path in cells]
    assert probes.count("train") == 2 * 2 * 2, "values × variants × seeds"
    assert set(probes) == {"train", "accuracy"}, "nothing else is probed"
    assert again["variants"] == first["variants"]
    for path in (*first["runs"], "swept"):
        assert (suite_file.parent / path).is_dir()
    assert (suite_file.parent / first["report"]).stat().st_size > 5000
