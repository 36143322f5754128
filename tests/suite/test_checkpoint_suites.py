"""Variants that are finished checkpoints: what such a suite may say, and every mistake in it at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stabbench.errors import ConfigurationError
from stabbench.planning.cells import cells
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: audit
data: {test: {path: dev.tsv, text: sentence}, classes: [no, yes]}
model: ck
seeds: 1
variants:
  model: {checkpoint: ck, classes: [no, yes]}
  other: {checkpoint: other}
compare: {reference: model}
"""
Write = Callable[..., Path]


def problems(write: Write, old: str = "", new: str = "", more: str = "") -> str:
    assert old in SUITE
    with pytest.raises(ConfigurationError) as caught:
        load_suite(str(write(SUITE.replace(old, new) + more if old else SUITE + more)))
    return str(caught.value)


def test_nothing_is_trained_and_nothing_is_warned_about(write: Write) -> None:
    loaded = load_suite(str(write(SUITE)))

    assert loaded.suite.of_checkpoints
    assert loaded.warnings == ()
    assert [(cell.id, cell.probe) for cell in cells(loaded) if cell.kind == "train"] == [
        ("train/model/0", "checkpoint"),
        ("train/other/0", "checkpoint"),
    ]


def test_the_resolved_suite_says_the_same(write: Write) -> None:
    loaded = load_suite(str(write(SUITE)))

    assert loaded.resolved["variants"]["model"]["checkpoint"] == "ck"
    assert "checkpoint" not in loaded.resolved["train"]
    assert "train" not in loaded.resolved["data"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: 1", "seeds: 3", "finished checkpoints have no seeds to repeat; set seeds: 1"),
        ("seeds: 1", "seeds: {init: 1, order: 1}", "set seeds: 1"),
        ("{checkpoint: other}", "{}", "model is a finished checkpoint and other is trained"),
        (
            "{checkpoint: other}",
            "{checkpoint: other, preset: mosbach}",
            "a checkpoint is not trained; leave 'preset' out",
        ),
        ("{checkpoint: other}", "{checkpoint: other, stabilizers: [{ema: {}}]}", "leave 'stabilizers' out"),
        ("{checkpoint: other}", "{checkpoint: other, train: {epochs: 2}}", "it only reads max_length and threads"),
        ("{checkpoint: other}", "{checkpoint: ''}", "is empty; expected a folder or a hub id"),
        ("{checkpoint: other}", "{checkpoint: o, classes: [a, a]}", "a label stands twice"),
        ("classes: [no, yes]}\nmodel", "classes: [no, no]}\nmodel", "a label stands twice"),
        ("seeds: 1", "seeds: 1\nkeep_weights: none", "nothing is trained here"),
        ("seeds: 1", "seeds: 1\ngate: [{claim: accuracy, not_worse_by: 0.1}]", "checkpoints have none"),
    ],
)
def test_what_such_a_suite_may_not_say(write: Write, old: str, new: str, message: str) -> None:
    assert message in problems(write, old, new)


def test_a_trained_variant_needs_training_data_and_owns_no_checkpoints_options(write: Write) -> None:
    text = SUITE.replace("{checkpoint: ck, classes: [no, yes]}", "{}").replace("{checkpoint: other}", "{revision: abc}")

    with pytest.raises(ConfigurationError) as caught:
        load_suite(str(write(text)))

    assert "data.train: missing, and a variant is trained" in str(caught.value)
    assert "'revision' says something of a checkpoint, and there is none here" in str(caught.value)


def test_classes_that_are_not_said_leave_every_key_as_it_was(write: Write) -> None:
    from stabbench.suite.fingerprint import data_fingerprint
    from stabbench.suite.schema import Data

    plain = Data(source="builtin:tiny", train=16, test=16)
    named = Data(source="builtin:tiny", train=16, test=16, classes=["bad", "good"])

    # The hash of the same data before there were `classes`: keys of stored cells must not change.
    assert data_fingerprint(plain, Path()) == "6026743bbbcd1ffc521a564d39dca3b2"
    assert data_fingerprint(named, Path()) != data_fingerprint(plain, Path())


def test_what_trains_refuses_a_suite_that_does_not(write: Write) -> None:
    from stabbench.planning.selection import smoke
    from stabbench.search.variants import changed

    loaded = load_suite(str(write(SUITE)))

    with pytest.raises(ConfigurationError, match="this suite has none"):
        smoke(loaded)
    with pytest.raises(ConfigurationError, match="nothing to search"):
        changed(loaded, {"model": {"train.epochs": 2}})
