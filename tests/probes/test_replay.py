"""The replay probe: rates against a recount with pandas, and which class a label of the file means."""

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
from word_counter import counted, subject_of

from stabbench.data.example import Dataset, Example
from stabbench.data.replay_pairs import Pair
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject
from stabbench.probes.base import Context
from stabbench.probes.replay import Replay, label_indices
from stabbench.records import Measurement

DATA = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data")) / "robust"
WORDS = ("good", "great", "bad", "dull", "poor")
ROWS: list[dict[str, Any]] = [
    {
        "orig_text": f"a {w} film {i}", "text": f"a {WORDS[(i * k) % 5]} film {i}" if i % 4 else f"a {w} film {i}",
        "label": int(k < 2) if i % 7 else int(k >= 2), "recipe": "first" if i % 2 else "second",
        "result": "Skipped" if i % 4 == 0 else "Successful" if i % 3 else "Failed",
    }
    for i in range(24) for k, w in enumerate(WORDS)
]  # fmt: skip


def context(folder: Path, suite_folder: Path) -> Context:
    test = (Example("t:0", "a good film", 1),)
    return Context(Dataset((), (), test, ("negative", "positive"), ""), folder, suite_folder=suite_folder)


def values(measured: Sequence[Measurement]) -> dict[tuple[Any, ...], Measurement]:
    return {(m.metric.removeprefix("replay."), *m.at.values()): m for m in measured}


def recount(frame: pd.DataFrame) -> dict[str, tuple[float | None, int]]:
    """Rates of a frame with the columns clean, found (right answers) and changed, misled."""
    held = frame[frame["clean"] & frame["changed"]]
    transferred = held[held["misled"]]
    rate = {name: part["found"] for name, part in (("success_rate", ~held[["found"]]), ("transfer_rate", ~transferred[["found"]]))}  # fmt: skip # noqa: E501
    rate |= {"clean_accuracy": frame["clean"], "accuracy": frame["found"]}
    return {name: (float(hits.mean()) if len(hits) else None, len(hits)) for name, hits in rate.items()}


def test_every_rate_equals_a_recount(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    frame = pd.DataFrame(ROWS)
    subject = subject_of(tiny_model, [*frame["orig_text"], *frame["text"]], counted, ("negative", "positive"))
    measured = values(Replay(files=("log.jsonl",)).measure(subject, context(tmp_path, tmp_path)))

    frame["clean"] = (frame["orig_text"].map(counted) > 0).astype(int) == frame["label"]
    frame["found"] = (frame["text"].map(counted) > 0).astype(int) == frame["label"]
    frame["changed"] = frame["text"] != frame["orig_text"]
    frame["misled"] = frame["result"] == "Successful"
    parts = {(): frame} | {(f"log/{name}",): part for name, part in frame.groupby("recipe")}
    for at, part in parts.items():
        for name, (value, n) in recount(part).items():
            m = measured[(name, *at)]
            assert m.value == pytest.approx(value), (name, at)
            assert (m.n_used, m.n_planned) == (n, len(part))
    assert len(measured) == 4 * len(parts)
    assert 0 < float(measured["success_rate",].value or 0) < 1
    lines = [json.loads(line) for line in (tmp_path / "replay.jsonl").read_text("utf-8").splitlines()]
    wrong = frame[frame["clean"] & frame["changed"] & ~frame["found"]]
    assert [line["line"] for line in lines] == (wrong.index + 1).tolist()
    assert [(line["original"], line["text"]) for line in lines] == [
        *wrong[["orig_text", "text"]].itertuples(index=False, name=None)
    ]


def pairs(*labels: int | str) -> list[Pair]:
    return [Pair("f.jsonl", i + 1, "f", "a", "b", label) for i, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "classes", "given", "expected"),
    [
        ((0, 1), ("0", "1"), (), [0, 1]),
        ((0, 1), ("negative", "positive"), (), [0, 1]),
        ((0, 1), ("fresh", "rotten"), (), [1, 0]),
        ((0, 1, "rotten"), ("fresh", "rotten"), (), [1, 0, 1]),
        ((0, 1), ("1", "2"), (), [0, 1]),
        (("Sports", "World"), ("Sports", "World"), (), [0, 1]),
        ((0, 2), ("a", "b", "c"), ("c", "b", "a"), [2, 0]),
    ],
)
def test_which_class_a_label_means(labels: Any, classes: Any, given: Any, expected: list[int]) -> None:
    assert label_indices(pairs(*labels), classes, given).tolist() == expected


def test_a_label_that_means_no_class_is_told_with_place_and_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as error:
        label_indices(pairs("World", 1), ("Sports", "World"), ())
    assert str(error.value) == (
        "f.jsonl:2  label '1' is no class of the model (Sports, World); say what the labels mean: "
        "replay: {classes: [Sports, World]} for 0, 1, …"
    )
    with pytest.raises(ConfigurationError, match=r"probes\.replay\.classes: unknown class 'Wrld'\. Did you mean"):
        label_indices(pairs(0), ("Sports", "World"), ("Wrld", "Sports"))


def test_a_model_that_is_never_right_has_no_success_rate(tiny_model: Path, tmp_path: Path) -> None:
    nan = Subject(load_tokenizer(tiny_model), lambda b: torch.full((len(b), 2), torch.nan), ("neg", "pos"), 64)
    measured = values(Replay().measure(nan, context(tmp_path, tmp_path)))

    assert measured["accuracy",].value == measured["clean_accuracy",].value == 0.0
    assert (measured["success_rate",].value, measured["success_rate",].n_used) == (None, 0)
    assert (tmp_path / "replay.jsonl").read_text() == ""


@pytest.mark.skipif(not DATA.is_dir(), reason="the published sets are not on this machine (STABBENCH_TEST_DATA)")
def test_the_published_victims_own_answers_give_its_published_success_rate(tiny_model: Path, tmp_path: Path) -> None:
    """A model that answers as the log says the victim did has the log's accuracies and succeeded attacks."""
    path = DATA / "attack_sst2_bert_pwws.jsonl"
    log = pd.read_json(path, lines=True)
    answers = dict(zip(log["text"], log["victim_adv_pred"], strict=True))
    answers |= dict(zip(log["orig_text"], log["victim_orig_pred"], strict=True))
    subject = subject_of(tiny_model, list(answers), lambda text: answers[text] - 0.5, ("0", "1"))
    measured = values(Replay(files=(str(path),)).measure(subject, context(tmp_path, tmp_path)))

    right = (log["victim_orig_pred"] == log["label"]).mean()
    assert measured["clean_accuracy",].value == pytest.approx(right)
    assert measured["transfer_rate",].value == 1.0
    assert measured["transfer_rate",].n_used == (log["result"] == "Successful").sum()
    attacked = log[log["result"] != "Skipped"]
    with np.load(tmp_path / "replay.npz") as stored:
        assert stored["changed"].sum() == (log["text"] != log["orig_text"]).sum()
    changed = attacked[attacked["text"] != attacked["orig_text"]]
    assert measured["success_rate",].value == pytest.approx((changed["result"] == "Successful").mean())
