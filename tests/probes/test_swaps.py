"""The swaps probe: gaps against a recount with pandas over every sentence and term."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from word_counter import subject_of

from stabbench.data.example import Dataset, Example
from stabbench.data.group_terms import GROUPS, SLOTS, terms_of
from stabbench.data.swap_templates import read_templates
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject
from stabbench.probes._swapped import Swapped, chance_gap, gap
from stabbench.probes.base import Context
from stabbench.probes.swaps import Swaps
from stabbench.records import Measurement
from stabbench.suite.option_files import option_file

ROWS = [
    {"text": "{name} is good.", "label": 2}, {"text": "{name} is bad.", "label": 0}, {"text": "Ask {name}."},
    {"text": "My {gender} sings.", "label": "negative"}, {"text": "His {gender} left at one."},
]  # fmt: skip


def context(folder: Path, suite_folder: Path) -> Context:
    test = (Example("t:0", "a good film", 1),)
    return Context(Dataset((), (), test, ("negative", "positive"), ""), folder, suite_folder=suite_folder)


def prejudiced(text: str) -> float:
    """Likes long names and aunts."""
    words = text.replace(".", "").split()
    return ("good" in words) * 1.0 - ("bad" in words) * 1.0 + 0.1 * max(map(len, words)) - 0.7 + 2.0 * ("aunt" in words)


def values(measured: Sequence[Measurement]) -> dict[tuple[Any, ...], Measurement]:
    return {(m.metric.removeprefix("swaps."), *m.at.values()): m for m in measured}


def measured_with(tiny_model: Path, folder: Path, logit: Callable[[str], float]) -> list[Measurement]:
    (folder / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    texts = [t.filled(term) for t in read_templates(folder / "s.jsonl") for term in terms_of(t.slot)]
    subject = subject_of(tiny_model, texts, logit, ("negative", "positive"))
    return Swaps(files=("s.jsonl",)).measure(subject, context(folder, folder))


def test_every_figure_equals_a_recount(tiny_model: Path, tmp_path: Path) -> None:
    measured = values(measured_with(tiny_model, tmp_path, prejudiced))

    rows = []
    for sentence in ROWS:
        slot = "name" if "{name}" in str(sentence["text"]) else "gender"
        label = {2: 1, 0: 0, "negative": 0, None: None}[sentence.get("label")]  # type: ignore[index]
        for term in terms_of(slot):
            logit = prejudiced(str(sentence["text"]).replace(f"{{{slot}}}", term))
            rows.append((slot, sentence["text"], term, label, 1 / (1 + np.exp(-logit)), int(logit > 0)))
    frame = pd.DataFrame(rows, columns=["slot", "sentence", "term", "label", "p", "answer"])
    frame["flip"] = frame["answer"] != frame.groupby("sentence")["answer"].transform(lambda a: a.mode().min())
    frame["right"] = (frame["answer"] == frame["label"]).where(frame["label"].notna()).astype(float)
    assert 0 < frame["flip"].mean() < 1

    largest = []
    for slot in ("name", "gender"):
        for category in SLOTS[slot]:
            group = {term: name for name, terms in GROUPS[category].items() for term in terms}
            part = frame[frame["slot"] == slot].assign(group=lambda f, group=group: f["term"].map(group))
            means = part.groupby("group")[["p", "right", "flip"]].mean()
            for name, column in (("probability", "p"), ("accuracy", "right"), ("flip_rate", "flip")):
                for each, value in means[column].items():
                    m = measured[name, category, each]
                    assert m.value == pytest.approx(value), (name, category, each)
                    assert m.n_used == part[part["group"] == each][column].notna().sum()
                gap_name = {"probability": "probability_gap", "accuracy": "accuracy_gap", "flip_rate": "flip_gap"}[name]
                assert measured[gap_name, category].value == pytest.approx(means[column].max() - means[column].min())
            assert measured["flip_rate", category].value == pytest.approx(part["flip"].mean())
            largest.append(means["p"].max() - means["p"].min())
    assert measured["probability_gap",].value == pytest.approx(max(largest))
    assert measured["flip_rate",].value == pytest.approx(frame["flip"].mean())
    assert measured["flip_rate",].n_used == len(frame)
    assert ("probability_gap", "religion") not in measured, "a place without a sentence has no figure"


def test_a_model_that_does_not_see_the_term_has_no_gap(tiny_model: Path, tmp_path: Path) -> None:
    measured = values(measured_with(tiny_model, tmp_path, lambda text: ("good" in text) - 0.5))

    for name in ("probability_gap", "accuracy_gap", "flip_gap", "chance_gap"):
        for category in ("name_gender", "name_origin", "gender"):
            assert measured[name, category].value == pytest.approx(0, abs=1e-12)
    assert measured["flip_rate",].value == 0


def test_a_gap_in_a_group_stands_out_from_chance_and_random_terms_do_not() -> None:
    terms = terms_of("gender")
    female = np.array([term in GROUPS["gender"]["female"] for term in terms])
    noise = np.random.default_rng(0).normal(0, 0.01, (5, len(terms)))
    label = np.full(5, -1)

    biased = Swapped(terms, 0.5 + 0.3 * female + noise, np.zeros((5, len(terms)), int), label)
    chance = chance_gap(biased, "gender", 0)
    assert chance is not None
    assert chance < 0.1 < 0.25 < float(np.ptp([biased.positive[:, c].mean() for c in (female, ~female)]))
    assert chance == chance_gap(biased, "gender", 0)


def test_gaps_of_the_unknown() -> None:
    assert gap([0.2, 0.5, 0.4]) == pytest.approx(0.3)
    assert gap([0.2]) == 0.0
    assert gap([]) is None
    assert gap([0.2, None]) is None
    assert np.isnan(gap([0.2, float("nan")]) or 0.0)


def test_the_built_in_sentences_with_a_diverged_model(tiny_model: Path, tmp_path: Path) -> None:
    nan = Subject(load_tokenizer(tiny_model), lambda b: torch.full((len(b), 2), torch.nan), ("neg", "pos"), 64)
    measured = values(Swaps().measure(nan, context(tmp_path, tmp_path)))

    assert np.isnan(float(measured["probability_gap",].value or 0))
    assert measured["flip_rate",].value == 0.0
    templates = read_templates(option_file("swaps", "builtin:templates", Path()))
    assert measured["flip_rate",].n_used == sum(len(terms_of(template.slot)) for template in templates)


def test_classes_that_are_not_known_are_told(tiny_model: Path, tmp_path: Path) -> None:
    other = subject_of(tiny_model, [], prejudiced, ("Sports", "World"))
    with pytest.raises(ConfigurationError, match=r"probes\.swaps: which classes of the model are negative"):
        Swaps().measure(other, context(tmp_path, tmp_path))
