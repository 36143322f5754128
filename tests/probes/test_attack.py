"""The attack probe's numbers against their definitions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stabbench.attacks.engine.run import AttackRow, Outcome
from stabbench.data.example import Dataset
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject
from stabbench.probes.attack import Attack, budget_curve, place, reduction_summary, summary
from stabbench.probes.base import Context
from stabbench.records import canonical


def row(outcome: Outcome, *, words: int = 10, changed: int = 0, queries: int = 0, rows: int = 0) -> AttackRow:
    return AttackRow(
        "r", "e", "text", 0, outcome, None, 0, [1.0, 0.0], words,
        words_changed=changed, queries=queries, model_rows=rows,
    )  # fmt: skip


def values(rows: list[AttackRow], planned: int = 9) -> dict[str, tuple[Any, ...]]:
    return {m.metric.removeprefix("attack."): (m.value, m.n_used, m.n_planned) for m in summary("r", rows, planned)}


def test_the_six_numbers_of_a_hand_made_table() -> None:
    """N = 6: 4 right, of which 3 fooled; one error and one text without words are left out of 8."""
    rows = [
        row("success", changed=1, queries=10, rows=8),
        row("success", changed=4, queries=20, rows=18),
        row("success", words=5, changed=1, queries=30, rows=28),
        row("failed", changed=9, queries=60, rows=50),
        row("skipped"),
        row("skipped"),
        row("skipped", words=0),
        row("error", queries=99),
    ]

    assert values(rows) == {
        "clean_accuracy": (pytest.approx(4 / 6), 6, 9),
        "accuracy_under_attack": (pytest.approx(1 / 6), 6, 9),
        "success_rate": (pytest.approx(3 / 4), 4, 9),
        "words_changed": (pytest.approx((0.1 + 0.4 + 0.2) / 3), 3, 9),
        "queries": (pytest.approx(30), 4, 9),
        "model_rows": (pytest.approx(26), 4, 9),
    }


def test_accuracy_under_attack_is_clean_accuracy_times_the_share_not_fooled() -> None:
    rows = [row("success")] * 2 + [row("failed")] * 5 + [row("skipped")] * 3
    found = values(rows)

    assert found["accuracy_under_attack"][0] == pytest.approx(
        found["clean_accuracy"][0] * (1 - found["success_rate"][0])
    )


def test_a_model_that_is_never_right_has_no_success_rate() -> None:
    found = values([row("skipped"), row("skipped")])

    assert found["accuracy_under_attack"][0] == found["clean_accuracy"][0] == 0.0
    assert found["success_rate"][0] is found["words_changed"][0] is found["queries"][0] is None


def test_nothing_left_is_unknown_and_not_zero() -> None:
    assert {value for value, _, _ in values([row("error")]).values()} == {None}


def test_accuracy_at_a_budget_falls_to_accuracy_under_attack() -> None:
    """N = 6, 4 right, fooled by queries 10, 20 and 90."""
    rows = [row("success", queries=100) for _ in range(3)] + [row("failed"), row("skipped"), row("skipped")]
    for fooled, query in zip(rows[:3], (10, 20, 90), strict=True):
        fooled.query_at_success = query
    curve = budget_curve("r", [*rows, row("error")], 7, [9, 10, 25, 100])

    assert [m.value for m in curve] == [pytest.approx(k / 6) for k in (4, 3, 2, 1)]
    assert curve[-1].value == values(rows)["accuracy_under_attack"][0]
    assert [dict(m.at) for m in curve] == [{"recipe": "r", "budget": b} for b in (9, 10, 25, 100)]
    assert {(m.n_used, m.n_planned) for m in curve} == {(6, 7)}
    assert [m.value for m in budget_curve("r", [row("error")], 7, [9])] == [None]


def test_words_left_is_a_mean_over_the_right_answers() -> None:
    """Three texts of 10 words: one comes down to 2, one cannot be shortened, one clean answer is wrong."""
    short = row("success", rows=5)
    short.adversarial_text, short.adversarial_prediction = "two words .", 0
    found = {m.metric: (m.value, m.n_used) for m in reduction_summary("r", [short, row("failed"), row("skipped")], 3)}

    assert found["attack.words_left"] == (6.0, 2)
    assert found["attack.clean_accuracy"] == (pytest.approx(2 / 3), 3)
    assert {m.value for m in reduction_summary("r", [], 3)} == {None}


def test_directions_are_those_of_the_model_under_attack() -> None:
    better = {m.metric: m.better for m in summary("r", [row("success")], 1)}

    assert better["attack.accuracy_under_attack"] == better["attack.queries"] == "higher"
    assert better["attack.success_rate"] == "lower"


def test_an_unknown_recipe_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    subject = Subject(None, lambda batch: pytest.fail("not scored"), ("a",), 8)

    with pytest.raises(ConfigurationError, match=r"unknown attack 'deepwordbugs'\. Did you mean 'deepwordbug'\?"):
        Attack(recipes=("deepwordbugs",)).measure(subject, Context(Dataset((), (), (), ("a",), ""), tmp_path))


def test_importing_the_probe_does_not_import_textattack() -> None:
    code = "import sys, stabbench.probes.attack; print('textattack' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_constraints_are_a_coordinate_only_where_they_are_not_the_recipes_own() -> None:
    assert place({"recipe": "r"}, "recipe") == {"recipe": "r"}
    assert place({"recipe": "r", "budget": 9}, "strict") == {"recipe": "r", "budget": 9, "constraints": "strict"}


def test_a_recipe_that_lacks_something_is_skipped_with_what_would_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is one that swaps no words under lax constraints alone; nothing is scored, and no process need be prepared."""
    monkeypatch.setenv("TA_CACHE_DIR", str(tmp_path))
    subject = Subject(None, lambda batch: pytest.fail("not scored"), ("a",), 8)
    probe = Attack(recipes=("iga", "clare-offline", "checklist", "seq2sick"), examples=3, constraints=("recipe", "lax"))
    measured = probe.measure(subject, Context(Dataset((), (), (), ("a",), ""), tmp_path))
    told = json.loads((tmp_path / "recipes.json").read_text())

    assert {m.status for m in measured} == {"skipped"}
    assert {(m.value, m.n_used, m.n_planned) for m in measured} == {(None, 0, 3)}
    assert len({canonical(dict(m.at)) for m in measured}) == len(measured) == 8
    assert (tmp_path / "attack.jsonl").read_text() == ""
    assert "counter-fitted" in told["iga"]["skipped"]
    assert "masked_lm" in told["clare-offline"]["skipped"]
    assert told["iga"]["constraint_encoder"] is None

    (m,) = Attack(constraints=("lax",)).measure(subject, Context(Dataset((), (), (), ("a",), ""), tmp_path))
    assert (m.status, dict(m.at)) == ("skipped", {"recipe": "deepwordbug", "constraints": "lax"})
    assert "swaps no words" in json.loads((tmp_path / "recipes.json").read_text())["deepwordbug"]["skipped"]
