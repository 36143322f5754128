"""Probes on texts that nobody should write: every text is measured, and a label or class that is unknown is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile_texts import HOSTILE

from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_pretrained
from stabbench.models.subject import Subject, torch_logits
from stabbench.probes.accuracy import Accuracy
from stabbench.probes.base import Context
from stabbench.probes.behavior import Behavior
from stabbench.probes.noise import Noise
from stabbench.probes.replay import Replay
from stabbench.probes.swaps import Swaps
from stabbench.records import Measurement
from stabbench.seeding import TrialSeeds

CLASSES = ("negative", "positive")


@pytest.fixture(scope="module")
def subject(tiny_model: Path) -> Subject:
    model, tokenizer = load_pretrained(tiny_model, CLASSES, TrialSeeds(0, 0))
    return Subject(tokenizer, torch_logits(model.eval()), CLASSES, 64, model)


def context(folder: Path, texts: list[str]) -> Context:
    test = tuple(Example(f"t:{i}", text, i % 2) for i, text in enumerate(texts))
    return Context(Dataset((), (), test, CLASSES, ""), folder, suite_folder=folder)


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path.name


def overall(measured: list[Measurement], metric: str) -> Measurement:
    return next(m for m in measured if m.metric == metric and not m.at)


@pytest.mark.parametrize("name", HOSTILE)
def test_one_hostile_text_is_measured_alone(subject: Subject, tmp_path: Path, name: str) -> None:
    made = context(tmp_path, [HOSTILE[name]])
    right = overall(Accuracy().measure(subject, made), "accuracy").value
    noisy = Noise(kinds=("keyboard", "word_drop"), severities=(5,)).measure(subject, made)

    assert right in (0.0, 1.0)
    for m in noisy:
        assert m.n_used == 1
        assert m.value is not None
        assert np.isfinite(m.value)


def test_hostile_texts_of_files_are_measured_or_refused_with_file_and_line(subject: Subject, tmp_path: Path) -> None:
    """A text is refused only where it is empty or holds a NUL, by the place where it stands."""
    for place, (name, text) in enumerate(HOSTILE.items()):
        folder = tmp_path / f"{place}"
        folder.mkdir()
        made = context(folder, ["a film"])
        cases = [
            {"test": name, "type": "MFT", "expect": "label", "label": 2, "texts": [text]},
            {"test": f"{name} changed", "type": "INV", "expect": "same_prediction", "texts": [text, f"{text}!"]},
        ]
        pairs = [{"text": text, "orig_text": f"{text}.", "label": "positive"}]
        behavior = Behavior(files=(written(folder / "cases.jsonl", cases),))
        replay = Replay(files=(written(folder / "pairs.jsonl", pairs),))
        if not text.strip() or "\x00" in text:
            for probe, file in ((behavior, "cases.jsonl"), (replay, "pairs.jsonl")):
                with pytest.raises(ConfigurationError, match=rf"{file}:1 .*(is empty|NUL)"):
                    probe.measure(subject, made)
            continue
        assert overall(behavior.measure(subject, made), "behavior.failure_rate").n_used == 2
        assert overall(replay.measure(subject, made), "replay.accuracy").n_used == 1


def test_a_sentence_with_hostile_words_around_the_term_is_swapped(subject: Subject, tmp_path: Path) -> None:
    rows = [
        {"text": f"{text[:200]} {{name}} is here", "label": 2}
        for text in HOSTILE.values()
        if "\x00" not in text and text.strip()
    ]
    measured = Swaps(files=(written(tmp_path / "t.jsonl", rows),)).measure(subject, context(tmp_path, ["a film"]))

    assert overall(measured, "swaps.flip_rate").n_used == len(rows) * 70


@pytest.mark.parametrize("probe", ["behavior", "replay", "swaps"])
def test_a_label_that_the_model_does_not_have_is_named_with_its_line(
    subject: Subject, tmp_path: Path, probe: str
) -> None:
    made = context(tmp_path, ["a film"])
    if probe == "behavior":
        rows: list[dict[str, Any]] = [
            {"test": "t", "type": "MFT", "expect": "label", "label": "angry", "texts": ["bad"]}
        ]
        failing: Any = Behavior(files=(written(tmp_path / "f.jsonl", rows),))
    elif probe == "replay":
        rows = [{"text": "bad", "orig_text": "good", "label": "angry"}]
        failing = Replay(files=(written(tmp_path / "f.jsonl", rows),))
    else:
        rows = [{"text": "{name} is here", "label": "angry"}]
        failing = Swaps(files=(written(tmp_path / "f.jsonl", rows),))

    with pytest.raises(ConfigurationError) as caught:
        failing.measure(subject, made)

    assert "f.jsonl:1" in str(caught.value)
    assert "'angry'" in str(caught.value)
    assert "negative, positive" in str(caught.value)
