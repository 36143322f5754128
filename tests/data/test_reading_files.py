"""Every bad row is named with file and line; nothing is dropped; a TSV's quotes are ordinary characters."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench.data.dataset import load_dataset
from stabbench.data.reading import SHOWN_PROBLEMS, read_rows
from stabbench.errors import ConfigurationError
from stabbench.suite.schema import Data, SplitFile, Task

REAL = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
SPLIT = SplitFile(path="x", text="text", label="label")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def problems(path: Path, split: SplitFile = SPLIT) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read_rows(path, split)
    return [str(problem) for problem in caught.value.problems]


def no_asset(name: str) -> Path:
    raise AssertionError(name)


def load(folder: Path, **data: object) -> object:
    return load_dataset(Data.model_validate(data), Task(), folder, no_asset)


def messages(folder: Path, **data: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, **data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", 'text\tlabel\nsay "hi\t1\nand "bye\t0\n'),
        ("x.csv", 'text,label\n"say ""hi",1\n"and ""bye",0\n'),
        ("x.jsonl", '{"text": "say \\"hi", "label": 1}\n{"text": "and \\"bye", "label": 0}\n'),
    ],
)
def test_the_same_rows_come_out_of_every_kind_of_file(tmp_path: Path, name: str, content: str) -> None:
    rows = read_rows(write(tmp_path, name, content), SPLIT)

    assert [(row.text, row.label) for row in rows] == [('say "hi', "1"), ('and "bye', "0")]


def test_parquet_is_read_and_whole_floats_are_integers(tmp_path: Path) -> None:
    pd.DataFrame({"text": ["a", "b"], "label": [1.0, 0.0]}).to_parquet(tmp_path / "x.parquet")

    assert [row.label for row in read_rows(tmp_path / "x.parquet", SPLIT)] == ["1", "0"]


def test_every_bad_row_is_named_with_its_line_and_reason(tmp_path: Path) -> None:
    path = write(tmp_path, "x.tsv", "text\tlabel\nfine\t1\n\t0\nno label\t\nthree\t1\t2\n  \t1\n")

    found = problems(path)

    assert [line.split(":")[1].split()[0] for line in found] == ["3", "4", "5", "6"]
    assert "empty" in found[0]
    assert "label" in found[1]
    assert "3 columns, the header has 2" in found[2]


def test_a_long_list_of_bad_rows_is_cut_and_counted(tmp_path: Path) -> None:
    found = problems(write(tmp_path, "x.tsv", "text\tlabel\n" + "\t1\n" * 50))

    assert len(found) == SHOWN_PROBLEMS + 1
    assert "30 more" in found[-1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.tsv", "txt\tlabel\na\t1\n", "no column 'text'. Did you mean 'txt'?"),
        ("x.jsonl", '{"text": "a"}\n', "has no 'label'"),
        ("x.jsonl", "{text\n", "is not JSON"),
        ("x.jsonl", "[1]\n", "expected an object"),
        ("x.jsonl", '{"text": 3, "label": 1}\n', "holds int, expected text"),
        ("x.tsv", b"text\tlabel\n\xff\xfe\t1\n", "is not UTF-8"),
        ("x.tsv", "text\tlabel\na\x00b\t1\n", "holds a NUL character"),
        ("x.xml", "<a/>", "unknown kind of file '.xml'"),
    ],
)
def test_mistakes_say_place_value_and_what_is_allowed(tmp_path: Path, name: str, content: str, message: str) -> None:
    assert message in problems(write(tmp_path, name, content))[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no such file" in problems(tmp_path / "x.tsv")[0]


TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\t\n\r\x00\ufeff"), min_size=1).filter(
    str.strip
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.sampled_from(["0", "1"])), min_size=1, max_size=8))
def test_what_was_written_as_tsv_or_jsonl_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    tsv = write(folder, "x.tsv", "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    jsonl = write(folder, "x.jsonl", "".join(json.dumps({"text": t, "label": label}) + "\n" for t, label in rows))

    for path in (tsv, jsonl):
        assert [(row.text, row.label) for row in read_rows(path, SPLIT)] == rows


def two_files(folder: Path, train: str, test: str) -> dict[str, object]:
    write(folder, "train.tsv", "text\tlabel\n" + train)
    write(folder, "test.tsv", "text\tlabel\n" + test)
    return {"train": {"path": "train.tsv"}, "test": {"path": "test.tsv"}}


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("a\t0\nb\t1\n", "c\t2\n", "label '2' stands on 1 of its examples (first: test:2) and on none of train"),
        ("a\t0\nb\t0\n", "c\t0\n", "only one class ('0')"),
        ("a\t0\nb\t1\n", "", "data.test: the split is empty"),
        ("", "c\t0\n", "data.train: the split is empty"),
    ],
)
def test_splits_that_cannot_work_are_refused_before_any_training(
    tmp_path: Path, train: str, test: str, message: str
) -> None:
    assert message in messages(tmp_path, **two_files(tmp_path, train, test))


def test_bad_rows_of_both_files_are_told_at_once(tmp_path: Path) -> None:
    told = messages(tmp_path, **two_files(tmp_path, "\t0\nb\t1\n", "c\t\n"))

    assert "train.tsv:2" in told
    assert "test.tsv:2" in told


def test_more_examples_than_there_are_is_a_mistake(tmp_path: Path) -> None:
    data = two_files(tmp_path, "a\t0\nb\t1\n", "c\t0\n")
    data["train"] = {"path": "train.tsv", "limit": 3}

    assert "3 examples asked for" in messages(tmp_path, **data)


def test_a_limit_takes_the_same_examples_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    lines = [f"text {i}\t{i % 2}\n" for i in range(40)]
    chosen = []
    for order in (lines, lines[::-1]):
        data = two_files(tmp_path, "".join(order), "c\t0\nd\t1\n")
        data["train"] = {"path": "train.tsv", "limit": 10}
        chosen.append({e.text for e in load(tmp_path, **data).train})  # type: ignore[attr-defined]

    assert chosen[0] == chosen[1]


def test_validation_is_split_off_by_text_and_leaves_the_rest(tmp_path: Path) -> None:
    data = two_files(tmp_path, "".join(f"text {i}\t{i % 2}\n" for i in range(200)), "c\t0\nd\t1\n")

    found = load(tmp_path, **data, validation={"fraction": 0.25})

    train, validation = ({e.text for e in split} for split in (found.train, found.validation))  # type: ignore[attr-defined]
    assert not train & validation
    assert len(train | validation) == 200
    assert 25 < len(validation) < 75


def test_the_built_in_tiny_data_needs_no_file(tmp_path: Path) -> None:
    found = load(tmp_path, source="builtin:tiny", train=32, validation=8, test=40)

    assert [len(s) for s in (found.train, found.validation, found.test)] == [32, 8, 40]  # type: ignore[attr-defined]
    assert found.classes == ("bad", "good")  # type: ignore[attr-defined]


def test_an_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    assert "builtin:rotten-tomatoes" in messages(tmp_path, source="builtin:rotten", train=1, test=1)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real data of ../shared/data (or $STABBENCH_TEST_DATA) is not here")
@pytest.mark.parametrize(
    ("file", "columns", "rows"),
    [
        ("mrpc/train.tsv", {"text": "sentence1", "text_pair": "sentence2"}, 3668),
        ("sst2/dev.tsv", {"text": "sentence"}, 872),
        ("cola/train.tsv", {"text": "sentence"}, 8551),
        ("rte/dev.tsv", {"text": "sentence1", "text_pair": "sentence2"}, 277),
        ("ag_news/test_2000.tsv", {"text": "text"}, 2000),
        ("sms_spam/sms_spam.tsv", {"text": "text"}, 5574),
    ],
)
def test_real_files_are_read_whole(file: str, columns: dict[str, str], rows: int) -> None:
    assert len(read_rows(REAL / file, SplitFile(path=file, label="label", **columns))) == rows
