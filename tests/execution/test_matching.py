"""Pairs are called matched only where the hashes agree on everything that nobody declared as changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stabbench.execution.matching import mismatches
from stabbench.planning.trials import Arm
from stabbench.store.cells import StoredCell
from stabbench.suite.schema import TrainOptions

HASHES = {"init": "i", "order": ["a", "b", "c"], "dropout": "d"}


def arm(name: str, streams: frozenset[str] = frozenset(), weights: bool = False) -> Arm:
    return Arm(name, TrainOptions(), (), streams, weights)


def stored(**changes: Any) -> StoredCell:
    return StoredCell("k", Path(), {"details": {"hashes": {**HASHES, **changes}}})


def found(candidate: Arm, cell: StoredCell) -> list[str]:
    cells = {"train/baseline/0": stored(), "train/x/0": cell}
    return [mismatch.stream for mismatch in mismatches([arm("baseline"), candidate], ["0"], cells)]


def test_equal_hashes_match() -> None:
    assert found(arm("x"), stored()) == []


@pytest.mark.parametrize(("stream", "value"), [("init", "j"), ("dropout", "e"), ("order", ["a", "x", "c"])])
def test_a_stream_that_nobody_declared_must_agree(stream: str, value: Any) -> None:
    assert found(arm("x"), stored(**{stream: value})) == [stream]


@pytest.mark.parametrize(("stream", "value"), [("dropout", "e"), ("order", ["z"])])
def test_a_declared_stream_may_differ(stream: str, value: Any) -> None:
    assert found(arm("x", frozenset({stream})), stored(**{stream: value})) == []


def test_changed_weights_may_differ_only_where_declared() -> None:
    assert found(arm("x", weights=True), stored(init="j")) == []


def test_epochs_are_compared_over_those_both_have() -> None:
    assert found(arm("x"), stored(order=["a", "b", "c", "d", "e"])) == []
    assert found(arm("x"), stored(order=["a", "x"])) == ["order"]


def test_a_trial_that_is_not_there_is_no_mismatch() -> None:
    assert mismatches([arm("baseline"), arm("x")], ["0"], {"train/baseline/0": stored()}) == []
