"""Cells exist whole or not at all; equal content has equal keys; two drivers never do one cell twice."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabbench.errors import StoreError
from stabbench.records import Cell, Measurement, Row
from stabbench.store.cells import Store, key_of
from stabbench.store.claims_on_cells import claim

CELL = Cell("noise/a/0/dense", "probe", "a", "0", "dense", "noise", {"x": 1}, ("train/a/0",), {"k": 1})
ROWS = [
    Row("a", "0", "dense", "noise", Measurement("noise.accuracy", 0.5, "share", "higher", {"kind": "keyboard"}, 3, 4)),
    Row("a", "0", "dense", "noise", Measurement("noise.mce", math.nan, "ratio", "lower")),
    Row("a", "0", "dense", "noise", Measurement("noise.x", math.inf, "ratio", "lower")),
    Row("a", "0", "dense", "noise", Measurement("noise.y", None, "ratio", "lower", status="error")),
]


def write(store: Store, key: str, content: str = "hello") -> None:
    with store.draft(key) as draft:
        (draft / "file.txt").write_text(content)
        store.finish(draft, key, CELL, ROWS, {"weights": "w"}, 1.5, {"python": "3"})


def test_a_finished_cell_gives_back_what_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path)

    write(store, "ab" * 16)
    cell = store.get("ab" * 16)

    assert cell is not None
    assert (cell.folder / "file.txt").read_text() == "hello"
    assert cell.weights == "w"
    assert cell.rows[0] == ROWS[0]
    values = [m.value for m in cell.measurements]
    assert math.isnan(values[1])  # type: ignore[arg-type]
    assert values[2:] == [math.inf, None]


def test_a_cell_whose_work_raised_does_not_exist_and_leaves_no_draft(tmp_path: Path) -> None:
    store = Store(tmp_path)

    with pytest.raises(RuntimeError), store.draft("cd" * 16) as draft:
        (draft / "file.txt").write_text("half")
        raise RuntimeError

    assert store.get("cd" * 16) is None
    assert list((tmp_path / "drafts").iterdir()) == []


def test_the_first_of_two_writers_wins_and_both_get_a_whole_cell(tmp_path: Path) -> None:
    store = Store(tmp_path)

    write(store, "ab" * 16, "first")
    write(store, "ab" * 16, "second")

    assert (store.path("ab" * 16) / "file.txt").read_text() == "first"


def test_a_damaged_record_is_named_with_what_to_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write(store, "ab" * 16)
    (store.path("ab" * 16) / "cell.json").write_text("{")

    with pytest.raises(StoreError, match="remove the folder"):
        store.get("ab" * 16)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | st.text(max_size=5), max_size=5))
def test_keys_do_not_depend_on_the_order_of_fields(content: dict[str, object]) -> None:
    assert key_of(content) == key_of(dict(reversed(content.items())))


def test_keys_depend_on_every_value() -> None:
    assert len({key_of(c) for c in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {"a": 1.5}, {})}) == 7


def test_drafts_of_dead_processes_are_swept_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    dead = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert dead.returncode == -9
    assert len(list((tmp_path / "drafts").iterdir())) == 1

    with store.draft("ef" * 16) as mine:
        assert store.sweep() == 1
        assert mine.exists()


KILLED = """
import os, sys
from pathlib import Path
from stabbench.store.cells import Store
with Store(Path(sys.argv[1])).draft("ab" * 16) as draft:
    (draft / "file.txt").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_of_many_threads_that_want_a_cell_exactly_one_does_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key, done = "ab" * 16, []

    def work() -> None:
        with claim(tmp_path, key, lambda: store.path(key).exists()) as mine:
            if mine:
                done.append(1)
                time.sleep(0.05)
                write(store, key)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(done) == 1
    assert list((tmp_path / "claims").iterdir()) == []


def test_the_claim_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    (tmp_path / "claims").mkdir()
    owner = {"host": os.uname().nodename, "pid": process.pid}
    (tmp_path / "claims" / "k").write_text(json.dumps(owner))

    with claim(tmp_path, "k", lambda: False) as mine:
        assert mine


def test_a_cell_of_another_store_is_copied_whole_and_one_that_is_there_is_kept(tmp_path: Path) -> None:
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    with there.draft("ab" * 16) as draft:
        (draft / "model").mkdir()
        (draft / "model" / "weights").write_bytes(b"weights")
        given = there.finish(draft, "ab" * 16, CELL, ROWS, {"x": 1}, 1.0, {})

    copied = here.adopt(given)
    (given.folder / "model" / "weights").write_bytes(b"changed")
    again = here.adopt(given)

    assert copied.folder == again.folder == here.path("ab" * 16)
    assert copied.record == given.record
    assert (copied.folder / "model" / "weights").read_bytes() == b"weights"
    assert list((here.root / "drafts").iterdir()) == []


def test_a_copy_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, here = Store(tmp_path / "there"), Store(tmp_path / "here")
    with there.draft("ab" * 16) as draft:
        given = there.finish(draft, "ab" * 16, CELL, ROWS, {}, 1.0, {})

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("stabbench.store.cells.os.rename", full)
    with pytest.raises(OSError, match="no space"):
        here.adopt(given)

    assert here.get("ab" * 16) is None
    assert list((here.root / "drafts").iterdir()) == []
