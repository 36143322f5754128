"""Files of behavioural cases, replayed pairs and sentences: what is read, and what a wrong row is told."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench.data.behavior_cases import EXPECTATIONS, read_cases
from stabbench.data.group_terms import GROUPS, SLOTS, group_of, terms_of
from stabbench.data.probe_files import FORMS
from stabbench.data.replay_pairs import read_pairs
from stabbench.data.swap_templates import read_templates
from stabbench.errors import ConfigurationError
from stabbench.suite.option_files import option_file, shipped_sets

DATA = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "robust"
CASE = {"test": "t", "type": "MFT", "capability": "c", "expect": "label", "label": 2, "texts": ["fine"]}
PAIR = {"text": "bda", "orig_text": "bad", "label": 0}


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def told(path: Path, read: Any = read_cases) -> str:
    with pytest.raises(ConfigurationError) as error:
        read(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "MTF"}, ["unknown 'type' 'MTF'", "Did you mean 'MFT'?", "Allowed: DIR, INV, MFT."]),
        ({"expect": "lable"}, ["unknown 'expect' 'lable'", "Did you mean 'label'?", "same_prediction"]),
        ({"expect": "same_prediction"}, ["MFT tests do not know", "Allowed: label, not_negative"]),
        ({"label": None}, ["'label' needs a 'label': 0 negative"]),
        ({"label": 3}, ["'label' is 3", "0 (negative), 1 (neutral) or 2 (positive)"]),
        ({"label": True}, ["'label' holds True"]),
        ({"label": [1]}, ["'label' holds [1]"]),
        ({"expect": "label_or_not_negative_if_1", "label": "good"}, ["needs a number as 'label'", "'good'"]),
        ({"texts": "fine"}, ["'texts' must be a list"]),
        ({"texts": []}, ["'texts' must be a list"]),
        ({"texts": ["fine", ""]}, ["'texts'[1] is empty"]),
        ({"texts": [" \t"]}, ["'texts'[0] is empty"]),
        ({"texts": ["a\0b"]}, ["'texts'[0] holds a NUL character"]),
        ({"texts": [7]}, ["'texts'[0] holds int, expected text"]),
        ({"type": "INV", "expect": "same_prediction"}, ["'texts' has one text", "at least one change"]),
        ({"test": ""}, ["'test' is empty"]),
        ({"capability": 5}, ["'capability' holds int"]),
    ],
)
def test_a_wrong_case_is_told_with_file_line_value_and_what_is_allowed(
    tmp_path: Path, change: dict[str, Any], words: list[str]
) -> None:
    file = written(tmp_path / "cases.jsonl", CASE, {**CASE, **change})

    message = told(file)
    assert message.startswith(f"{file}:2  ")
    for word in words:
        assert word in message


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    file = written(tmp_path / "cases.jsonl", {**CASE, "type": "x"}, "{", CASE, {"test": "t"}, "")

    lines = told(file).splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"{file}:{n}" for n in (1, 2, 4)]
    assert "is not JSON" in lines[1]
    assert "has no 'type'" in lines[2]


def test_a_test_has_one_type_and_one_capability(tmp_path: Path) -> None:
    file = written(tmp_path / "cases.jsonl", CASE, {**CASE, "capability": "other"})

    assert told(file) == (
        f"{file}:2  test 't' is MFT of other here and MFT of c at {file}:1; give one of them another name"
    )


def test_missing_and_empty_files_are_told(tmp_path: Path) -> None:
    assert "no such file" in told(tmp_path / "none.jsonl")
    assert "holds no row" in told(written(tmp_path / "empty.jsonl"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": None}, ["'label' holds nothing"]),
        ({"text": ""}, ["'text' is empty"]),
        ({"orig_text": "\ud800"}, ["'orig_text' is not UTF-8"]),
        ({"recipe": 3}, ["'recipe' holds int"]),
    ],
)
def test_a_wrong_pair_is_told(tmp_path: Path, change: dict[str, Any], words: list[str]) -> None:
    file = written(tmp_path / "pairs.jsonl", PAIR, {**PAIR, **change})

    message = told(file, read_pairs)
    assert message.startswith(f"{file}:2  ")
    assert all(word in message for word in words)


def test_pairs_are_read_under_the_keys_that_are_named(tmp_path: Path) -> None:
    file = written(tmp_path / "becel.jsonl", {"sentence": "a", "sentence_paraphrase": "b", "label": "yes"})
    (pair,) = read_pairs(file, text="sentence_paraphrase", original="sentence")

    assert (pair.original, pair.changed, pair.label, pair.source, pair.misled) == ("a", "b", "yes", "becel", None)
    assert "has no 'text'" in told(file, read_pairs)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no place", "'text' has 0 places"),
        ("{name} and {name}", "'text' has 2 places"),
        ("{nmae} sings", "unknown place in 'text' 'nmae'. Did you mean 'name'?"),
    ],
)
def test_a_sentence_has_one_known_place(tmp_path: Path, text: str, words: str) -> None:
    assert words in told(written(tmp_path / "s.jsonl", {"text": text}), read_templates)


def test_a_term_that_begins_a_sentence_has_a_capital(tmp_path: Path) -> None:
    first, second = read_templates(written(tmp_path / "s.jsonl", {"text": "{gender} sings."}, {"text": "My {gender}."}))

    assert first.filled("aunt") == "Aunt sings."
    assert second.filled("aunt") == "My aunt."


def test_all_categories_of_a_place_group_the_same_terms_and_none_twice() -> None:
    for slot, categories in SLOTS.items():
        terms = terms_of(slot)
        assert len(set(terms)) == len(terms)
        for category in categories:
            assert set(group_of(category)) == set(terms)
            assert sum(map(len, GROUPS[category].values())) == len(terms)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_built_in_set_is_read_without_a_mistake(form: str) -> None:
    assert shipped_sets(form)
    options = {"text": "text", "original": "orig_text", "label": "label"}
    for name, path in shipped_sets(form).items():
        assert option_file(form, name, Path("/nowhere")) == path
        FORMS[form]([path], options)


def test_the_built_in_cases_cover_every_type_and_their_pairs_are_balanced() -> None:
    cases = read_cases(option_file("behavior", "builtin:sentiment", Path()))
    assert {case.type for case in cases} == set(EXPECTATIONS.values())
    pairs = read_pairs(option_file("replay", "builtin:hand-written", Path()))
    assert sum(pair.label == 1 for pair in pairs) * 2 == len(pairs)
    assert all(pair.original != pair.changed for pair in pairs)
    templates = read_templates(option_file("swaps", "builtin:templates", Path()))
    labels = pd.Series([template.label for template in templates])
    assert (labels == 0).sum() == (labels == 2).sum() > 0
    assert {template.slot for template in templates} == set(SLOTS)


@given(st.dictionaries(st.sampled_from([*CASE, "x"]), st.none() | st.integers() | st.text() | st.lists(st.text())))
@settings(max_examples=150, deadline=None)
def test_any_object_is_a_case_or_a_clear_mistake(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]) -> None:
    file = tmp_path_factory.mktemp("any") / "cases.jsonl"
    file.write_text(json.dumps({**CASE, **row}) + "\n", encoding="utf-8")
    try:
        (case,) = read_cases(file)
    except ConfigurationError as error:
        assert all(str(problem).startswith(f"{file}:1") for problem in error.problems)
    else:
        assert EXPECTATIONS[case.expect] == case.type
        assert case.texts


@pytest.mark.skipif(not DATA.is_dir(), reason="the published sets are not on this machine (STABBENCH_TEST_DATA)")
def test_the_published_files_are_read_whole() -> None:
    frame = pd.read_json(DATA / "checklist_sentiment.jsonl", lines=True)
    cases = read_cases(DATA / "checklist_sentiment.jsonl")

    assert len(cases) == len(frame) == 6982
    counted = pd.Series([case.test for case in cases]).value_counts()
    assert counted.to_dict() == frame["test"].value_counts().to_dict()
    assert {case.expect for case in cases} == set(frame["expect"]) == set(EXPECTATIONS)
    for name in ("pwws", "textfooler"):
        pairs = read_pairs(DATA / f"attack_sst2_bert_{name}.jsonl")
        log = pd.read_json(DATA / f"attack_sst2_bert_{name}.jsonl", lines=True)
        assert sum(bool(pair.misled) for pair in pairs) == (log["result"] == "Successful").sum()
        assert sum(pair.original == pair.changed for pair in pairs) == (log["text"] == log["orig_text"]).sum()
    becel = read_pairs(DATA / "becel_sst2_semantic.jsonl", text="sentence_paraphrase", original="sentence")
    assert len(becel) == 187
