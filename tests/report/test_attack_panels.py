"""Survivors against counting by hand."""

from __future__ import annotations

from typing import Any

import pytest

from stabbench.report.attack_panels import worst_of


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
