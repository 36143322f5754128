"""An audit of texts that nobody should write: each is measured, or its row is named before anything runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_texts import HOSTILE

import stabbench
from stabbench.auditing.audit import prepare
from stabbench.auditing.request import AuditRequest
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_subject

GOOD = {name: text for name, text in HOSTILE.items() if text.strip() and "\x00" not in text}


def written(path: Path, texts: list[str]) -> Path:
    rows = [{"sentence": text, "label": ("bad", "good")[i % 2]} for i, text in enumerate(texts)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_hostile_texts_are_measured_in_one_audit(
    checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = written(tmp_path / "hostile.jsonl", list(GOOD.values()))
    cases = tmp_path / "cases.jsonl"
    tests = [{"test": n, "type": "INV", "expect": "same_prediction", "texts": [t, t + "."]} for n, t in GOOD.items()]
    cases.write_text("".join(json.dumps(test) + "\n" for test in tests))
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps({"text": t, "orig_text": t + ".", "label": 1}) + "\n" for t in GOOD.values()))

    run = stabbench.audit(
        checkpoints["good"], data, probes=("accuracy", "noise", "behavior", "replay", "swaps"), behavior=(cases,),
        replay=(pairs,), negative=("bad",), positive=("good",), out=tmp_path / "run", offline=True,
    )  # fmt: skip

    assert run.status == "complete"
    whole = run.measurements[run.measurements["at"] == "{}"].set_index("metric")
    for metric in ("accuracy", "noise.accuracy", "noise.worst_case", "behavior.failure_rate", "replay.accuracy"):
        assert whole.loc[metric, "n_used"] == len(GOOD)
        assert 0 <= whole.loc[metric, "value"] <= 1
    assert set(run.measurements["status"]) <= {"ok", "failed-run", "skipped"}


@pytest.mark.parametrize(("text", "reason"), [("", "is empty"), (" \t ", "is empty"), ("good\x00film", "NUL")])
def test_a_text_that_cannot_be_measured_is_named_by_its_row(
    checkpoints: dict[str, Path], tmp_path: Path, text: str, reason: str
) -> None:
    data = written(tmp_path / "hostile.jsonl", ["a film", "a dull film", text])

    with pytest.raises(ConfigurationError) as caught:
        prepare(AuditRequest(str(checkpoints["good"]), data))

    assert f"{data}:3" in str(caught.value)
    assert reason in str(caught.value)


@pytest.fixture
def without(checkpoints: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a checkpoint whose tokenizer lacks a special token."""

    def made(token: str) -> Path:
        folder = Path(shutil.copytree(checkpoints["good"], tmp_path / "copy"))
        for name in ("tokenizer_config.json", "special_tokens_map.json"):
            path = folder / name
            if path.exists():
                content = {key: value for key, value in json.loads(path.read_text()).items() if key != token}
                path.write_text(json.dumps(content | {"tokenizer_class": "PreTrainedTokenizerFast"}))
        return folder

    return made


def test_a_tokenizer_without_a_padding_token_is_refused_by_the_models_name(
    without: Callable[[str], Path], texts: Path
) -> None:
    folder = without("pad_token")

    with pytest.raises(ConfigurationError) as caught:
        prepare(AuditRequest(str(folder), texts))

    assert str(folder) in str(caught.value)
    assert "no padding token, which batches need" in str(caught.value)


def test_a_tokenizer_without_a_mask_token_is_measured_as_one_with_it(
    without: Callable[[str], Path], checkpoints: dict[str, Path], texts: Path
) -> None:
    folder = without("mask_token")
    subject, whole = load_subject(folder), load_subject(checkpoints["good"])
    given = list(GOOD.values())

    prepare(AuditRequest(str(folder), texts))

    assert subject.tokenizer.mask_token is None
    assert subject.probabilities(given).tolist() == whole.probabilities(given).tolist()
