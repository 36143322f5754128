"""The suite that an audit is: it loads, asks every offline attack, and knows the sentiment of labels or says not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stabbench import registry
from stabbench.assets import needs
from stabbench.auditing.checkpoints import Examined
from stabbench.auditing.request import AuditRequest
from stabbench.auditing.written import audit_suite, polarity, suite_text
from stabbench.data.columns import Columns
from stabbench.data.labels import Outputs
from stabbench.suite.load import load_suite


def examined(names: tuple[str, ...], labels: tuple[str, ...], tokens: int = 64) -> Examined:
    return Examined("/a/folder", Outputs(labels, "by name"), names, tokens)


@pytest.mark.parametrize(
    ("names", "labels", "said", "expected"),
    [
        (("NEGATIVE", "POSITIVE"), ("0", "1"), {}, (["0"], ["1"])),
        (("POSITIVE", "NEGATIVE"), ("0", "1"), {}, (["1"], ["0"])),
        (("negative", "neutral", "positive"), ("negative", "neutral", "positive"), {}, (["negative"], ["positive"])),
        (("LABEL_0", "LABEL_1"), ("0", "1"), {}, None),
        (("ham", "spam"), ("ham", "spam"), {}, None),
        (("LABEL_0", "LABEL_1"), ("0", "1"), {"negative": ("1",), "positive": ("0",)}, (["1"], ["0"])),
    ],
)
def test_sentiment_is_told_by_the_names_of_outputs_or_said_and_never_by_numbers(
    names: tuple[str, ...], labels: tuple[str, ...], said: dict[str, Any], expected: object
) -> None:
    assert polarity(AuditRequest("m", Path("d.tsv"), **said), {"model": examined(names, labels)}) == expected


def test_the_written_suite_loads_and_asks_every_offline_attack_on_a_hundred_texts(tmp_path: Path) -> None:
    request = AuditRequest("m", Path("d.tsv"), vs="n")
    both = {"model": examined(("no", "yes"), ("no", "yes")), "other": examined(("no", "yes"), ("no", "yes"), 32)}
    suite, notes = audit_suite(request, both, Columns("sentence", None, "label", ""), ("no", "yes"))
    path = tmp_path / "audit.yaml"
    path.write_text(suite_text(suite, [*notes, "two\nlines"], ["stabbench", "audit", "a b"]))

    loaded = load_suite(str(path))
    offline = {n for n in registry.names("attacks") if registry.card("attacks", n).traits["tier"] == "offline"}

    assert loaded.warnings == ()
    assert "*id" not in path.read_text()
    assert set(loaded.suite.probes["attack"]["recipes"]) == offline
    assert loaded.suite.probes["attack"]["examples"] == 100
    assert loaded.suite.train.max_length == 32
    assert loaded.suite.compare.reference == "model"
    assert loaded.suite.data.classes == ["no", "yes"]


def test_words_that_yaml_reads_otherwise_stay_labels(tmp_path: Path) -> None:
    labels = ("null", "true", "1e3")
    suite, _ = audit_suite(
        AuditRequest("m", Path("no: t.tsv"), probes=("accuracy",)),
        {"model": examined(labels, labels)},
        Columns("~", None, "yes", ""),
        labels,
    )
    path = tmp_path / "audit.yaml"
    path.write_text(suite_text(suite, [], ["stabbench"]))

    assert load_suite(str(path)).suite.data.classes == list(labels)


def test_fetch_audit_gets_what_offline_attacks_declare_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"a": ("offline", ["builtin:x", "builtin:y"]), "b": ("full", ["builtin:z"]), "c": ("offline", ["builtin:x"])}

    class Card:
        def __init__(self, name: str) -> None:
            self.traits = {"tier": made[name][0], "assets": made[name][1]}

    monkeypatch.setattr(needs.registry, "names", lambda kind: tuple(made))
    monkeypatch.setattr(needs.registry, "card", lambda kind, name: Card(name))
    monkeypatch.setattr(needs, "fetch", lambda name, offline: Path(name))

    assert list(needs.fetch_for_audit()) == ["builtin:x", "builtin:y"]
