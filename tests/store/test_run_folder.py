"""A run's files read back as written; unknown and NaN stay apart; a torn event line is no error."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from stabbench.errors import ConfigurationError
from stabbench.records import Measurement, Row
from stabbench.store.run_folder import COLUMNS, RunFolder, read_rows, write_rows

ROWS = [
    Row("a", "3/1", "dense", "noise", Measurement("noise.accuracy", 0.25, "share", "higher", {"b": 1, "a": "x"}, 3, 4)),
    Row("a", None, "dense", "seeds", Measurement("seeds.sd", math.nan, "share", "lower")),
    Row("a", "0", "dense", "noise", Measurement("noise", None, "", "neither", status="error")),
]


def test_rows_survive_the_parquet_file_and_unknown_is_not_nan(tmp_path: Path) -> None:
    write_rows(tmp_path / "m.parquet", ROWS)

    back = read_rows(tmp_path / "m.parquet")

    assert back[0] == ROWS[0]
    assert math.isnan(back[1].measurement.value)  # type: ignore[arg-type]
    assert back[1].seed is None
    assert back[2] == ROWS[2]


def test_the_columns_are_those_of_the_contract(tmp_path: Path) -> None:
    write_rows(tmp_path / "m.parquet", ROWS)

    frame = pd.read_parquet(tmp_path / "m.parquet")

    assert tuple(frame.columns) == COLUMNS
    assert frame["at"].tolist() == ['{"a":"x","b":1}', "{}", "{}"]


def test_a_torn_last_event_is_left_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append({"event": "run-started", "message": "line\u2028separator"})
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "cell-do')

    assert folder.events == [{"event": "run-started", "message": "line\u2028separator"}]


def test_an_unknown_run_names_the_newest_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "20260101T000000Z-quick").mkdir(parents=True)
    (tmp_path / "runs" / "20260101T000000Z-quick" / "plan.json").write_text("{}")

    with pytest.raises(ConfigurationError, match="20260101T000000Z-quick"):
        RunFolder.find("nothing")

    assert RunFolder.find("20260101T000000Z-quick").path.name == "20260101T000000Z-quick"
