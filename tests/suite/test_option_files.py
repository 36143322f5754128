"""Files in the options of probes: found from the suite's folder, told where they are wrong, and part of the key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stabbench.data.probe_files import check_probe_files
from stabbench.errors import ConfigurationError, Problem
from stabbench.planning.cells import cells
from stabbench.planning.keys import cell_key
from stabbench.suite.load import load_suite
from stabbench.suite.option_files import shipped_sets

Problems = Callable[..., list[Problem]]
CASE = {"test": "t", "type": "MFT", "expect": "label", "label": 2, "texts": ["fine"]}


@pytest.mark.parametrize(
    ("files", "column", "words"),
    [
        ("[none.jsonl]", 29, ["no file 'none.jsonl' below", "the suite file's folder", "builtin:sentiment"]),
        ("[builtin:sentiment, builtin:sentimnt]", 48, ["unknown built-in set", "Did you mean 'builtin:sentiment'?"]),
        ("[builtin:hand-written]", 29, ["unknown built-in set", "Allowed: builtin:sentiment."]),
        ("[cases.csv]", 29, ["'cases.csv' is no .jsonl file"]),
        ("[here.jsonl, sub/here.jsonl]", 21, ["2 files are named 'here'"]),
        ("here.jsonl", 21, ["must be a list; found 'here.jsonl'"]),
        ("[3]", 29, ["must be text; found 3"]),
        ("[]", 21, ["at least 1 entry"]),
    ],
)
def test_a_wrong_file_is_told_with_its_place(
    problems: Problems, tmp_path: Path, files: str, column: int, words: list[str]
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("here.jsonl", "sub/here.jsonl", "cases.csv"):
        (tmp_path / name).write_text(json.dumps(CASE) + "\n")

    (found,) = problems(f"probes: {{behavior: {{files: {files}}}}}\n")
    assert (found.line, found.column) == (9, column)
    for word in words:
        assert word in str(found)


def test_the_files_of_all_probes_are_read_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text(json.dumps({**CASE, "expect": "x"}) + "\n")
    (tmp_path / "log.jsonl").write_text("[]\n")

    with pytest.raises(ConfigurationError) as error:
        check_probe_files(
            {"accuracy": {}, "behavior": {"files": ["cases.jsonl"]}, "replay": {"files": ["log.jsonl"]}, "swaps": {}},
            tmp_path,
        )
    told = [str(problem) for problem in error.value.problems]
    assert [line.split("  ")[0] for line in told] == [f"{tmp_path / name}:1" for name in ("cases.jsonl", "log.jsonl")]


SUITE = """\
schema: 1
name: p
data: {source: builtin:tiny, train: 32, test: 40}
model: builtin:tiny
seeds: 1
variants: {baseline: {}}
probes: {accuracy: {}, behavior: {files: [sets/cases.jsonl, builtin:sentiment]}}
"""


def keys(folder: Path, text: str = SUITE) -> dict[str, str]:
    """Keys of a suite's cells by id, as if trained."""
    (folder / "p.yaml").write_text(text)
    found = {
        cell.id: cell_key(cell, dict.fromkeys(cell.parents, "w")) for cell in cells(load_suite(str(folder / "p.yaml")))
    }
    return {name: str(key) for name, key in found.items()}


def test_content_is_part_of_the_key_and_the_folder_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "sets").mkdir(parents=True)
        (folder / "sets" / "cases.jsonl").write_text(json.dumps(CASE) + "\n")
    before = keys(one)

    assert keys(two) == before, "the same texts elsewhere are the same cell"
    monkeypatch.chdir(one / "sets")
    assert keys(one) == before
    (one / "cases.jsonl").write_text(json.dumps(CASE) + "\n")
    assert keys(one, SUITE.replace("sets/", "")) == before

    (one / "sets" / "cases.jsonl").write_text(json.dumps({**CASE, "texts": ["finer"]}) + "\n")
    after = keys(one)
    assert {name for name in before if before[name] != after[name]} == {"behavior/baseline/0/dense"}
    (one / "sets" / "cases.jsonl").rename(one / "sets" / "other.jsonl")
    (one / "sets" / "other.jsonl").write_text(json.dumps(CASE) + "\n")
    renamed = keys(one, SUITE.replace("cases", "other"))
    assert renamed["behavior/baseline/0/dense"] not in (*before.values(), *after.values()), (
        "results go by the file's name"
    )


def test_the_card_of_a_probe_without_files_leaves_its_key_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(SUITE.replace("sets/cases.jsonl, ", ""))
    found = {cell.probe: cell for cell in cells(load_suite(str(tmp_path / "p.yaml")))}

    assert found["accuracy"].static["probe"] == ["accuracy", 1, {"bins": 15}]
    ((stem, digest),) = found["behavior"].static["probe"][2]["files"]
    assert stem == "sentiment"
    assert digest == hashlib.sha256(shipped_sets("behavior")["builtin:sentiment"].read_bytes()).hexdigest()
    assert found["behavior"].options["files"] == ["builtin:sentiment"]
