"""The behavior probe: each expectation against its definition, each rate against a recount with pandas."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from word_counter import counted, subject_of

from stabbench.data.behavior_cases import EXPECTATIONS, Case, read_cases
from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject
from stabbench.probes._expectations import FAILED, NOT_APPLICABLE, PASSED, judge
from stabbench.probes._polarity import named_polarity
from stabbench.probes.base import Context
from stabbench.probes.behavior import Behavior
from stabbench.records import Measurement

DATA = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "robust"
THREE = ("negative", "neutral", "positive")
HOSTILE = [
    '<script>alert("x")</script>', "\u202eright to left\u202c \u05e9\u05dc\u05d5\u05dd", "\N{PILE OF POO}" * 3, "word",
    "good " * 2000, "line\nbreak\ttab \x07 bell", "'; DROP TABLE cases; --", "{{ 7 * 7 }}",
]  # fmt: skip


def context(folder: Path, suite_folder: Path, pair: str | None = None) -> Context:
    test = (Example("t:0", "a good film", 1, pair), Example("t:1", "a bad film", 0, pair))
    return Context(Dataset((), (), test, ("negative", "positive"), ""), folder, suite_folder=suite_folder)


def case(expect: str, label: int | str | None = None, texts: int = 2) -> Case:
    return Case("f.jsonl", 1, "t", EXPECTATIONS[expect], "c", expect, label, tuple(f"text {i}" for i in range(texts)))


def outcome(made: Case, rows: Sequence[Sequence[float]], classes: tuple[str, ...] = THREE, tau: float = 0.1) -> int:
    p = np.array(rows)
    predicted = np.where(np.isfinite(p).all(axis=1), p.argmax(axis=1), -1)
    return judge(made, predicted, p, classes, named_polarity(classes), tau).outcome


NEG, NEU, POS = [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]
NAN = [np.nan] * 3


@pytest.mark.parametrize(
    ("expect", "label", "row", "expected"),
    [
        ("label", 2, POS, PASSED), ("label", 2, NEU, FAILED), ("label", 0, NEG, PASSED), ("label", 1, NEU, PASSED),
        ("label", "neutral", NEU, PASSED), ("label", "neutral", POS, FAILED),
        ("not_negative", None, NEU, PASSED), ("not_negative", None, POS, PASSED), ("not_negative", None, NEG, FAILED),
        ("label_or_not_negative_if_1", 1, POS, PASSED), ("label_or_not_negative_if_1", 1, NEG, FAILED),
        ("label_or_not_negative_if_1", 0, NEG, PASSED), ("label_or_not_negative_if_1", 0, NEU, FAILED),
        ("label_or_not_negative_if_1", 2, NEU, FAILED),
        ("label", 2, NAN, FAILED), ("not_negative", None, NAN, FAILED), ("label_or_not_negative_if_1", 1, NAN, FAILED),
    ],
)  # fmt: skip
def test_what_a_text_must_be_answered(expect: str, label: Any, row: list[float], expected: int) -> None:
    assert outcome(case(expect, label, 1), [row]) == expected
    assert outcome(case(expect, label, 2), [row, row]) == expected
    if expected == PASSED:
        assert outcome(case(expect, label, 2), [row, NAN]) == FAILED, "a case fails where one of its texts does"


@pytest.mark.parametrize(
    ("expect", "before", "after", "expected"),
    [
        ("same_prediction", [0.6, 0.3, 0.1], [0.4, 0.35, 0.25], PASSED), ("same_prediction", NEG, POS, FAILED),
        ("same_prediction", NAN, NAN, PASSED), ("same_prediction", NEG, NAN, FAILED),
        ("confidence_not_down", [0.1, 0.2, 0.7], [0.1, 0.3, 0.6001], PASSED),
        ("confidence_not_down", [0.1, 0.2, 0.7], [0.1, 0.31, 0.59], FAILED),
        ("confidence_not_down", [0.1, 0.2, 0.7], [0.0, 0.0, 1.0], PASSED),
        ("confidence_not_up", [0.7, 0.2, 0.1], [0.79, 0.2, 0.01], PASSED),
        ("confidence_not_up", [0.7, 0.2, 0.1], [0.81, 0.1, 0.09], FAILED),
        ("confidence_not_up", [0.95, 0.03, 0.02], [0.99, 0.005, 0.005], NOT_APPLICABLE),
        ("confidence_not_up", NEU, POS, NOT_APPLICABLE), ("confidence_not_down", NEU, POS, NOT_APPLICABLE),
        ("confidence_not_down", NAN, NAN, FAILED), ("confidence_not_up", NEG, NAN, FAILED),
        ("positive_prob_not_down", NEG, POS, PASSED), ("positive_prob_not_down", POS, NEG, FAILED),
        ("positive_prob_not_up", NEG, POS, FAILED), ("positive_prob_not_up", POS, NEG, PASSED),
        ("positive_prob_not_up", NEU, [0.1, 0.75, 0.15], PASSED), ("positive_prob_not_down", NEG, NAN, FAILED),
        # More positive by 0.05 and more negative by 0.2: what counts is the difference.
        ("positive_prob_not_down", NEU, [0.3, 0.55, 0.15], FAILED),
        ("positive_prob_not_up", NEU, [0.3, 0.55, 0.15], PASSED),
    ],
)  # fmt: skip
def test_what_a_change_may_do(expect: str, before: list[float], after: list[float], expected: int) -> None:
    assert outcome(case(expect), [before, after]) == expected
    if expected == FAILED:
        assert outcome(case(expect, texts=3), [before, before, after]) == FAILED


@given(st.lists(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), min_size=2, max_size=2), st.floats(0, 0.5))
@settings(max_examples=200, deadline=None)
def test_positive_prob_goes_by_how_the_gap_between_positive_and_negative_changes(
    rows: list[list[float]], tau: float
) -> None:
    """CheckList's suite adds what p(negative) lost to what p(positive) gained, and holds the sum against −τ and τ."""
    before, after = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    change = (before[0] - after[0]) + (after[2] - before[2])
    if abs(abs(change) - tau) < 1e-9:
        return

    given_rows = [before.tolist(), after.tolist()]
    assert outcome(case("positive_prob_not_down"), given_rows, tau=tau) == (FAILED if change < -tau else PASSED)
    assert outcome(case("positive_prob_not_up"), given_rows, tau=tau) == (FAILED if change > tau else PASSED)


def test_a_model_without_a_neutral_class_is_not_asked_for_one() -> None:
    two = ("negative", "positive")
    assert outcome(case("label", 1, 1), [[0.5, 0.5]], two) == NOT_APPLICABLE
    assert outcome(case("label_or_not_negative_if_1", 1, 1), [[0.4, 0.6]], two) == PASSED


@given(
    st.lists(st.lists(st.floats(0.001, 1), min_size=3, max_size=3), min_size=2, max_size=5),
    st.sampled_from([name for name, kind in EXPECTATIONS.items() if kind != "MFT"]),
    st.floats(0, 0.5),
)
@settings(max_examples=200, deadline=None)
def test_laws_of_change(rows: list[list[float]], expect: str, tau: float) -> None:
    """Texts after the original may come in any order; copies of the original pass; and more tolerance never fails."""
    p = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    made = case(expect, texts=len(p))

    found = outcome(made, p.tolist(), tau=tau)
    assert found == outcome(made, [p[0].tolist(), *p[:0:-1].tolist()], tau=tau)
    assert outcome(made, [p[0].tolist()] * len(p), tau=tau) != FAILED
    if found == PASSED:
        assert outcome(made, p.tolist(), tau=min(tau + 0.1, 0.99)) != FAILED


def written(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


ROWS: list[dict[str, Any]] = [
    *({"test": "words", "type": "MFT", "capability": "V", "expect": "label", "label": 2 * (w in ("good", "great")),
       "texts": [f"a {w} film {i}"]} for i in range(6) for w in ("good", "great", "bad", "dull", "poor")),
    *({"test": "not", "type": "MFT", "capability": "N", "expect": "not_negative", "texts": [f"not {w} at all {i}"]}
      for i in range(4) for w in ("bad", "good")),
    *({"test": "numbers", "type": "INV", "capability": "V", "expect": "same_prediction",
       "texts": [f"good {i}", f"good {i + 1}", f"good bad {i}"[: 6 + 5 * (i % 2)]]} for i in range(7)),
    *({"test": "very", "type": "DIR", "capability": "V", "expect": "positive_prob_not_down",
       "texts": [f"good film {i}", f"good {w} film {i}"]} for i in range(5) for w in ("great", "bad")),
    {"test": "plain", "type": "MFT", "capability": "V", "expect": "label", "label": 1, "texts": ["a film"]},
]  # fmt: skip


def values(measured: Sequence[Measurement]) -> dict[tuple[Any, ...], Measurement]:
    return {tuple(m.at.items()): m for m in measured}


def test_every_rate_equals_a_recount_of_the_stored_outcomes_and_of_the_model(tiny_model: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "cases.jsonl", ROWS)
    texts = [text for row in ROWS for text in row["texts"]]
    subject = subject_of(tiny_model, texts, counted, ("negative", "positive"))
    (tmp_path / "cell").mkdir()
    measured = values(Behavior(files=("cases.jsonl",)).measure(subject, context(tmp_path / "cell", tmp_path)))

    # Recounted from the model's definition, without the probe.
    frame = pd.DataFrame(ROWS)

    def failed(row: Any) -> float:
        logits = [counted(text) for text in row.texts]
        positive = [logit > 0 for logit in logits]
        probability = [1 / (1 + np.exp(-logit)) for logit in logits]
        if row.expect == "label":
            return np.nan if row.label == 1 else float(positive[0] != (row.label == 2))
        if row.expect == "not_negative":
            return float(not positive[0])
        if row.expect == "same_prediction":
            return float(len(set(positive)) > 1)
        return float(min(2 * p - 1 for p in probability[1:]) < 2 * probability[0] - 1 - 0.1)

    frame["failed"] = [failed(row) for row in frame.itertuples()]
    assert measured[()].value == pytest.approx(frame["failed"].mean())
    for column in ("type", "capability", "test"):
        for name, part in frame.groupby(column):
            m = measured[((column, name),)]
            assert (m.n_used, m.n_planned) == (part["failed"].notna().sum(), len(part))
            assert m.value == pytest.approx(part["failed"].mean()) if m.n_used else m.value is None
            assert m.status == ("ok" if m.n_used else "skipped")
    assert measured[("test", "plain"),].status == "skipped"

    # And what is stored says the same.
    with np.load(tmp_path / "cell" / "behavior.npz") as stored:
        assert stored["case"].tolist() == [f"cases:{i}" for i in range(1, len(ROWS) + 1)]
        assert np.array_equal(stored["outcome"], frame["failed"].fillna(-1).astype(int))
    lines = [json.loads(line) for line in (tmp_path / "cell" / "behavior.jsonl").read_text("utf-8").splitlines()]
    assert [line["place"] for line in lines] == [f"cases:{i + 1}" for i in np.flatnonzero(frame["failed"] == 1)]
    for line in lines:
        texts = ROWS[int(line["place"].split(":")[1]) - 1]["texts"]
        assert line["original"] == texts[0]
        assert line["text"] in texts
        assert line["predicted"] == [int(counted(text) > 0) for text in (line["original"], line["text"])]
    assert file.exists()


def test_a_limit_takes_the_same_cases_whatever_else_the_file_holds(tiny_model: Path, tmp_path: Path) -> None:
    texts = [text for row in ROWS for text in row["texts"]]
    subject = subject_of(tiny_model, texts, counted, ("negative", "positive"))
    written(tmp_path / "cases.jsonl", ROWS)
    chosen = []
    for most in (3, 5):
        folder = tmp_path / str(most)
        folder.mkdir()
        measured = values(Behavior(files=("cases.jsonl",), cases=most).measure(subject, context(folder, tmp_path)))
        assert measured[("test", "words"),].n_planned == most
        with np.load(folder / "behavior.npz") as stored:
            chosen.append(set(stored["case"].tolist()))
    assert chosen[0] < chosen[1]


def test_equal_texts_are_put_to_the_model_once(tiny_model: Path, tmp_path: Path) -> None:
    written(tmp_path / "cases.jsonl", ROWS + [{**row, "test": f"again {row['test']}"} for row in ROWS])
    texts = [text for row in ROWS for text in row["texts"]]
    subject = subject_of(tiny_model, texts, counted, ("negative", "positive"))
    score, asked = subject.logits, []
    subject.logits = lambda batch: asked.append(len(batch)) or score(batch)  # type: ignore[func-returns-value]
    Behavior(files=("cases.jsonl",)).measure(subject, context(tmp_path, tmp_path))

    assert sum(asked) == len(set(texts))


def test_hostile_texts_are_measured_and_stored_as_they_are(tiny_model: Path, tmp_path: Path) -> None:
    rows = [
        {"test": name, "type": "INV", "expect": "same_prediction", "texts": ["bad", text]}
        for name, text in zip(HOSTILE, HOSTILE, strict=True)
    ]
    written(tmp_path / "cases.jsonl", rows)
    tokenizer = load_tokenizer(tiny_model)
    short = tokenizer(["bad"])["input_ids"][0]

    def score(batch: Any) -> torch.Tensor:
        same = torch.tensor([ids[mask == 1].tolist() == short for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)])  # fmt: skip # noqa: E501
        return torch.stack([same.float(), 1 - same.float()], dim=1)

    subject = Subject(tokenizer, score, ("a", "b"), 64)
    measured = values(Behavior(files=("cases.jsonl",)).measure(subject, context(tmp_path, tmp_path)))

    assert measured[()].value == 1.0
    lines = [json.loads(line) for line in (tmp_path / "behavior.jsonl").read_text("utf-8").split("\n") if line]
    assert [line["text"] for line in lines] == HOSTILE


def test_a_diverged_model_fails_what_is_asked_of_it_and_keeps_to_itself(tiny_model: Path, tmp_path: Path) -> None:
    nan = Subject(load_tokenizer(tiny_model), lambda b: torch.full((len(b), 2), torch.nan), ("neg", "pos"), 64)
    measured = values(Behavior().measure(nan, context(tmp_path, tmp_path)))

    assert measured[("type", "MFT"),].value == measured[("type", "DIR"),].value == 1.0
    assert measured[("type", "INV"),].value == 0.0


@pytest.mark.parametrize(
    ("classes", "codes"),
    [
        (("negative", "positive"), [0, 2]), (("POS", "Neg"), [2, 0]), (("fresh", "rotten"), [2, 0]),
        (("0", "1"), [0, 2]), (("LABEL_1", "LABEL_0"), [2, 0]), (("0", "1", "2"), [0, 1, 2]),
        (("2", "0", "1"), [2, 0, 1]), (("-1", "1"), None), (("yes", "no"), None), (("1", "2", "3", "4", "5"), None),
        (("positive", "neutral"), None),
    ],
)  # fmt: skip
def test_which_classes_are_positive(classes: tuple[str, ...], codes: list[int] | None) -> None:
    found = named_polarity(classes)

    assert (found.codes.tolist() if found else None) == codes


def test_stars_are_named_by_options_and_every_class_must_be(tiny_model: Path, tmp_path: Path) -> None:
    stars = tuple("12345")
    found = named_polarity(stars, ("1", "2"), ("3",), ("4", "5"))
    assert found is not None
    assert found.codes.tolist() == [0, 0, 1, 2, 2]
    assert found.positive(np.array([[0.1, 0.2, 0.3, 0.15, 0.25]])) == pytest.approx(0.4)
    with pytest.raises(ConfigurationError) as error:
        named_polarity(stars, ("1", "zwei"), (), ("4", "5"))
    assert "unknown class 'zwei'" in str(error.value)
    assert "the class '2' is in none of negative, neutral, positive" in str(error.value)


def test_mistakes_that_need_the_model_are_told_with_place_and_what_to_do(tiny_model: Path, tmp_path: Path) -> None:
    other = subject_of(tiny_model, [], counted, ("Sports", "World"))
    with pytest.raises(ConfigurationError, match=r"It has Sports, World\. Name all of them: behavior: \{negative:"):
        Behavior().measure(other, context(tmp_path, tmp_path))
    row = {"test": "t", "type": "MFT", "expect": "label", "label": "Sprots", "texts": ["goal"]}
    file = written(tmp_path / "cases.jsonl", [row])
    with pytest.raises(ConfigurationError) as error:
        Behavior(files=("cases.jsonl",)).measure(other, context(tmp_path, tmp_path))
    assert str(error.value) == (
        f"{file}:1  unknown class of the model 'Sprots'. Did you mean 'Sports'? Allowed: Sports, World."
    )
    with pytest.raises(ConfigurationError, match="the task has pairs of texts"):
        Behavior().measure(other, context(tmp_path, tmp_path, pair="second"))
    with pytest.raises(ConfigurationError, match="no such file"):
        Behavior(files=("none.jsonl",)).measure(other, context(tmp_path, tmp_path))


def test_classes_of_any_task_can_be_expected_by_name(tiny_model: Path, tmp_path: Path) -> None:
    rows = [
        {"test": "t", "type": "MFT", "expect": "label", "label": label, "texts": [text]}
        for text, label in (("good game", "World"), ("bad game", "Sports"), ("dull game", "World"))
    ]
    written(tmp_path / "cases.jsonl", rows)
    subject = subject_of(tiny_model, [row["texts"][0] for row in rows], counted, ("Sports", "World"))
    measured = values(Behavior(files=("cases.jsonl",)).measure(subject, context(tmp_path, tmp_path)))

    assert measured[()].value == pytest.approx(1 / 3)


@pytest.mark.skipif(not DATA.is_dir(), reason="the published sets are not on this machine (STABBENCH_TEST_DATA)")
def test_the_published_cases_are_judged_as_a_recount_in_pandas_judges_them(tiny_model: Path, tmp_path: Path) -> None:
    path = DATA / "checklist_sentiment.jsonl"
    subject = Subject(load_tokenizer(tiny_model), _lengths, THREE, 64)
    probe = Behavior(files=(str(path),), cases=12)
    measured = values(probe.measure(subject, context(tmp_path, tmp_path)))
    assert len([at for at in measured if at and at[0][0] == "test"]) == 38
    cases = {case.id: case for case in read_cases(path)}
    with np.load(tmp_path / "behavior.npz") as stored:
        frame = pd.DataFrame({name: stored[name] for name in ("case", "test", "type", "outcome")})
    applicable = frame[frame["outcome"] >= 0]
    for test, part in applicable.groupby("test"):
        assert measured[("test", test),].value == pytest.approx((part["outcome"] == 1).mean())
    invariant = frame[frame["type"] == "INV"]
    for name, result in zip(invariant["case"], invariant["outcome"], strict=True):
        p = subject.probabilities(cases[name].texts)
        assert result == int(len(set(p.argmax(axis=1).tolist())) > 1)
    assert 0 < (invariant["outcome"] == 1).mean() < 1


def _lengths(batch: Any) -> torch.Tensor:
    """Three classes by the length of the text modulo 3: an answer that many changes of a text move."""
    length = batch.attention_mask.sum(dim=1)
    return torch.nn.functional.one_hot(length // 5 % 3, 3).float()
