"""Columns are told by their names or not at all; every file that cannot be read says why."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from stabbench.data.columns import choose_columns
from stabbench.errors import ConfigurationError


def file(folder: Path, header: str, name: str = "d.tsv") -> Path:
    path = folder / name
    path.write_text(f"{header}\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("sentence\tlabel", ("sentence", None, "label")),
        ("index\tsentence1\tsentence2\tlabel", ("sentence1", "sentence2", "label")),
        ("id\tPremise\thypothesis\tgold_label", ("Premise", "hypothesis", "gold_label")),
        ("label\ttext", ("text", None, "label")),
        ("words\tlabel", ("words", None, "label")),
        ("question\tsentence\tlabel", ("question", "sentence", "label")),
    ],
)
def test_common_names_are_known(tmp_path: Path, header: str, expected: tuple[str, str | None, str]) -> None:
    found = choose_columns(file(tmp_path, header), None, None, None)

    assert (found.text, found.pair, found.label) == expected
    assert f"--label {found.label}" in found.note


def test_a_text_that_is_said_stands_alone(tmp_path: Path) -> None:
    found = choose_columns(file(tmp_path, "sentence1\tsentence2\tlabel"), "sentence1", None, "label")

    assert (found.text, found.pair, found.note) == ("sentence1", None, "")


def test_every_kind_of_file_gives_its_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a, b", "c"], "label": [0, 1]})
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_json(tmp_path / "d.jsonl", orient="records", lines=True)
    frame.to_parquet(tmp_path / "d.parquet")
    file(tmp_path, "text\tlabel")

    for kind in ("csv", "tsv", "jsonl", "parquet"):
        found = choose_columns(tmp_path / f"d.{kind}", None, None, None)
        assert (found.text, found.label) == ("text", "label"), kind


@pytest.mark.parametrize(
    ("name", "content", "said", "message"),
    [
        ("d.tsv", "a\tb\tc\n", {}, "which column is the label cannot be told from the names: a, b, c. Say it: --label"),
        ("d.tsv", "a\tb\tlabel\n", {}, "which column is the text cannot be told"),
        ("d.tsv", "sentence\tlabel\n", {"label": "lable"}, "--label 'lable': no such column. Did you mean 'label'?"),
        ("d.tsv", "", {}, "the file is empty"),
        ("d.jsonl", "", {}, "the file is empty"),
        ("d.jsonl", "[1]\n", {}, "is list, expected an object"),
        ("d.jsonl", "{no\n", {}, "is not JSON"),
        ("d.parquet", "nothing", {}, "is not a parquet file"),
        ("d.txt", "text\tlabel\n", {}, "unknown kind of file ('.txt'); expected .csv, .tsv, .jsonl, .parquet"),
        ("d.tsv", None, {}, "no such file"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: str | None, said: dict[str, str], message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)

    with pytest.raises(ConfigurationError) as caught:
        choose_columns(tmp_path / name, said.get("text"), None, said.get("label"))

    assert message in str(caught.value)
    assert name in str(caught.value)
