"""Survivors against counting by hand, and where the numbers of the transfer panel stand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from stabbench.records import Measurement, Row
from stabbench.report.attack_panels import survivors, transfers, worst_of


def row(recipe: str, example: str, outcome: str, *, right: bool = True, words: int = 5) -> dict[str, Any]:
    return {
        "recipe": recipe, "example": example, "outcome": outcome, "label": 1, "clean_prediction": int(right),
        "words": words,
    }  # fmt: skip


def test_an_example_survives_only_what_every_attack_failed_on() -> None:
    """Of 5: one survives both, one falls to each, one clean answer is wrong; of two more one raised, one is empty."""
    outcomes = {
        "a": ("failed", "failed"), "b": ("success", "failed"), "c": ("failed", "success"), "d": ("success", "success"),
        "wrong": ("skipped", "skipped"), "raised": ("failed", "error"), "empty": ("skipped", "skipped"),
    }  # fmt: skip
    rows = [
        row(recipe, example, outcome, right=example != "wrong", words=0 if example == "empty" else 5)
        for example, pair in outcomes.items()
        for recipe, outcome in zip(("deepwordbug", "pwws"), pair, strict=True)
    ]

    assert worst_of(rows) == (pytest.approx(4 / 5), pytest.approx(1 / 5))


def test_a_reduction_that_keeps_the_answer_does_not_count() -> None:
    rows = [row("deepwordbug", "a", "failed"), row("input-reduction", "a", "success")]

    assert worst_of(rows) == (1.0, 1.0)


def test_nothing_is_no_number() -> None:
    assert worst_of([]) is None
    assert worst_of([row("pwws", "a", "error")]) is None


def test_one_attack_alone_has_no_table_of_survivors() -> None:
    def source(*recipes: str) -> Any:
        return SimpleNamespace(attacks=lambda variant, seed: [row(recipe, "a", "failed") for recipe in recipes])

    assert survivors(source("pwws"), {"baseline": ["0"]}) is None
    assert survivors(source("pwws", "leap"), {"baseline": []}) is None
    table = survivors(source("pwws", "leap"), {"baseline": ["0"], "other": []})
    assert table is not None
    assert [line[0].text for line in table.rows] == ["baseline", "other"]
    assert "pwws, leap" in table.note


def test_the_row_misleads_and_the_column_is_misled() -> None:
    """a misleads b at 0.25 of 4, b misleads a at 0.5 of 2; of b on itself nothing is known."""
    known = {(0, "a"): (1.0, 5), (0, "b"): (0.25, 4), (1, "a"): (0.5, 2), (1, "b"): (None, 0)}
    rows = [
        Row(target, "0", "dense", "transfer", Measurement(
            "transfer.success_rate", value, "share", "lower", {"recipe": "pwws", "source": number}, n, 9
        ))
        for (number, target), (value, n) in known.items()
    ]  # fmt: skip
    source: Any = SimpleNamespace(rows=rows, run=SimpleNamespace(plan={"cells": [{"probe": "transfer"}]}))
    (table,) = transfers(source)

    assert list(table.head) == ["misled", "a", "b"]
    assert [[cell.text for cell in line] for line in table.rows] == [
        ["a", "1.00 of 5", "0.25 of 4"], ["b", "0.50 of 2", "–"],
    ]  # fmt: skip
    assert transfers(SimpleNamespace(rows=[], run=source.run)) == []  # type: ignore[arg-type]
