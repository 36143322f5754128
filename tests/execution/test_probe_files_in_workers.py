"""A suite's relative files are found by worker processes, from any folder; a wrong one stops the run before work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stabbench.errors import ConfigurationError
from stabbench.runner import RunOptions, check_data, load, run

SUITE = """\
schema: 1
name: files
data: {source: builtin:tiny, train: 32, test: 20}
model: builtin:tiny
seeds: 1
train: {epochs: 1, batch_size: 8, max_length: 16}
variants: {baseline: {}}
probes:
  accuracy: {}
  behavior: {files: [sets/cases.jsonl], negative: [bad], positive: [good]}
  replay: {files: [sets/log.jsonl]}
  swaps: {negative: [bad], positive: [good]}
monitors: {}
"""
CASES = [
    {"test": "t", "type": "INV", "expect": "same_prediction", "texts": ["a film", f"a film {i}"]} for i in range(4)
]


def put(folder: Path, classes: tuple[str, str]) -> RunOptions:
    (folder / "study" / "sets").mkdir(parents=True)
    (folder / "elsewhere").mkdir()
    negative, positive = classes
    text = SUITE.replace("[bad]", f"[{negative!r}]").replace("[good]", f"[{positive!r}]")
    (folder / "study" / "s.yaml").write_text(text)
    log = {"orig_text": "good", "text": "goood", "label": positive}
    for name, rows in (("cases", CASES), ("log", [log])):
        (folder / "study" / "sets" / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return RunOptions("../study/s.yaml", store=Path("store"), out=Path("out"), offline=True)


@pytest.fixture
def classes() -> tuple[str, str]:
    from stabbench.data.builtin import tiny_sentences

    first, second = sorted({row.label for split in tiny_sentences() for _, row in split})
    return first, second


@pytest.mark.slow
def test_from_another_folder_a_changed_file_is_measured_again_and_nothing_else(
    classes: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = put(tmp_path, classes)
    monkeypatch.chdir(tmp_path / "elsewhere")

    first = run(options)
    assert first.verdict["cells"] == {"planned": 5, "cached": 0, "done": 5, "errors": 0, "pending": 0}
    rows = pd.read_parquet("out/measurements.parquet")
    assert rows[(rows["metric"] == "behavior.failure_rate") & (rows["at"] == "{}")]["n_used"].tolist() == [4]
    assert rows[(rows["metric"] == "replay.accuracy") & (rows["at"] == "{}")]["n_used"].tolist() == [1]

    (tmp_path / "study" / "sets" / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CASES[:3]))
    again = run(options)
    assert again.verdict["cells"] == {"planned": 5, "cached": 4, "done": 1, "errors": 0, "pending": 0}
    rows = pd.read_parquet("out/measurements.parquet")
    n = rows[(rows["metric"] == "behavior.failure_rate") & (rows["at"] == "{}")]["n_used"].tolist()
    assert np.array_equal(n, [3])


def test_a_wrong_row_stops_the_run_and_the_check_before_any_work(
    classes: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = put(tmp_path, classes)
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "study" / "sets" / "log.jsonl").write_text('{"orig_text": "a", "text": "b"}\n')

    for act in (lambda: run(options), lambda: check_data(load(options))):
        with pytest.raises(ConfigurationError, match=r"log\.jsonl:1  has no 'label'"):
            act()
    assert not Path("store").exists()
    (tmp_path / "study" / "sets" / "log.jsonl").unlink()
    with pytest.raises(ConfigurationError, match=r"probes\.replay\.files\[0\]: no file 'sets/log\.jsonl' below"):
        run(options)
