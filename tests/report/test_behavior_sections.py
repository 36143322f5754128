"""Sections on behavioural tests, replayed texts and swaps: numbers as measured, hostile text escaped."""

from __future__ import annotations

import html
import json
import math
from pathlib import Path
from typing import Any

import pytest
from made_run import HOSTILE, Maker, suite_text, trial, write

from stabbench.records import DENSE, Measurement
from stabbench.report.render import render
from stabbench.store.run_folder import RunFolder

HOSTILE_TEST = "<img src=x onerror=alert(2)> \u202e"
FAILED_SEED = "2"


def rate(value: float | None, n: int, planned: int, **at: Any) -> Measurement:
    return Measurement("behavior.failure_rate", value, "share", "lower", at, n, planned, "ok" if n else "skipped")


def share(metric: str, value: float | None, n: int, **at: Any) -> Measurement:
    return Measurement(metric, value, "share", "lower", at, n, 40)


def fill(maker: Maker, variant: str, seed: str) -> None:
    failed = variant == "baseline" and seed == FAILED_SEED
    value = 1.0 if failed else 0.25 if variant == "baseline" else 0.5
    case = {
        "test": HOSTILE_TEST, "type": "INV", "capability": "<b>", "expect": "same_prediction", "label": None,
        "place": "cases:3", "original": HOSTILE[0], "text": HOSTILE[1], "predicted": [0, 1],
        "probabilities": [[0.9, 0.1], [0.2, 0.8]],
    }  # fmt: skip
    single = {**case, "test": "single", "type": "MFT", "expect": "label", "label": 2, "place": "cases:9",
              "original": "plain", "text": "plain", "predicted": [-1, -1],
              "probabilities": [["NaN"] * 2] * 2}  # fmt: skip
    rows = [
        rate(value, 20, 40), rate(value, 20, 20, type="INV"), rate(value, 20, 20, capability="<b>"),
        rate(value, 20, 20, test=HOSTILE_TEST), rate(None, 0, 20, test="neutral"),
    ]  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in (case, single))
    maker.cell("behavior", variant, seed, DENSE, rows, {"behavior.jsonl": text})
    pair = {"source": "log/<i>", "line": 4, "label": 1, "original": HOSTILE[0], "text": HOSTILE[2],
            "predicted": [1, 0], "probabilities": [[0.1, 0.9], [0.7, 0.3]]}  # fmt: skip
    measured = [
        share(f"replay.{name}", value, n, **at)
        for at in ({}, {"source": "log/<i>"})
        for name, n in (("clean_accuracy", 40), ("accuracy", 40), ("success_rate", 16))
    ]
    maker.cell("replay", variant, seed, DENSE, measured, {"replay.jsonl": json.dumps(pair) + "\n"})
    gaps = ("probability_gap", "accuracy_gap", "flip_rate", "flip_gap", "chance_gap")
    swapped = [share(f"swaps.{name}", value, 40, **at) for at in ({}, {"category": "religion"}) for name in gaps]
    swapped += [share("swaps.probability", value, 10, category="religion", group=g) for g in ("Sikh", "none")]
    maker.cell("swaps", variant, seed, DENSE, swapped, {})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("made")
    text = suite_text(2, 4, ("accuracy",), False).replace("accuracy: {}", "accuracy: {}\n  behavior: {}\n  replay: {}")
    maker = Maker(folder, text.replace("  replay: {}", "  replay: {}\n  swaps: {}"))
    for seed in "0123":
        for variant in maker.suite.variants:
            trial(maker, variant, seed, ("accuracy",), failed=variant == "baseline" and seed == FAILED_SEED)
            fill(maker, variant, seed)
    run = RunFolder(folder / "run")
    run.path.mkdir()
    write(run, maker, "complete", 0)
    render(RunFolder(run.path), run.path / "report.html")
    return (run.path / "report.html").read_text(encoding="utf-8")


def section(page: str, name: str) -> str:
    start = page.index(f'<section id="{name}"')
    return page[start : page.index("</section>", start)]


def wilson(p: float, n: int) -> tuple[float, float]:
    z = 1.959963984540054
    centre, half = (p + z * z / (2 * n)), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def test_hostile_names_and_texts_are_shown_and_do_not_act(page: str) -> None:
    for name in ("behavior", "replay", "swaps"):
        part = section(page, name)
        for bad in ("<script", "<img", "<b>", "<i>", "\u202e", "\x00", "onerror=alert(1)>"):
            assert bad not in part, (name, bad)
    assert html.escape("<img src=x onerror=alert(2)> [U+202E]", quote=False) in section(page, "behavior")
    assert "log/&lt;i&gt;" in section(page, "replay")


def test_means_leave_failed_runs_out_and_intervals_are_wilsons(page: str) -> None:
    part = section(page, "behavior")

    assert "baseline (3 runs)" in part
    assert "stabilized (4 runs)" in part
    for value in (0.25, 0.5):
        low, high = wilson(value, 20)
        assert f"{low:.2f} to {high:.2f}" in part
    assert "20 of 40" in part
    assert "0 of 20" in part
    low, high = wilson(0.25, 16)
    assert f"{low:.2f} to {high:.2f}" in section(page, "replay")


def test_a_failed_case_is_shown_once_with_every_variants_answer(page: str) -> None:
    part = section(page, "behavior")

    assert part.count('<article class="example">') == 2
    assert "same prediction (seed 0)" in part
    assert "&lt;b&gt;bad&lt;/b&gt; 0.90 → good 0.80" in part
    assert "no answer" in part
    assert "true label positive" in part


def test_a_run_without_these_probes_has_no_such_section(tmp_path: Path) -> None:
    maker = Maker(tmp_path, suite_text(2, 1, ("accuracy",), False))
    for variant in maker.suite.variants:
        trial(maker, variant, "0", ("accuracy",), failed=False)
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write(run, maker, "complete", 0)

    render(RunFolder(run.path), run.path / "report.html")
    made = (run.path / "report.html").read_text(encoding="utf-8")
    assert not any(f'<section id="{name}"' in made for name in ("behavior", "replay", "swaps"))
