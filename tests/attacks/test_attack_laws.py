"""Results do not depend on order, subset, hash seed or wrapper, and success is what the model says."""

from __future__ import annotations

from typing import Any

import pytest

Session = dict[str, Any]


def attacked(session: Session) -> dict[str, Any]:
    return {name: row for name, row in session["rows"].items() if row["outcome"] in ("success", "failed")}


def test_the_sample_holds_every_outcome(session: Session) -> None:
    outcomes = [row["outcome"] for row in session["rows"].values()]

    assert {"success", "failed", "skipped"} == set(outcomes)
    assert outcomes.count("success") >= 4


def test_order_and_hash_seed_change_nothing(session: Session, other_session: Session) -> None:
    assert session["rows"] == other_session["rows"]


def test_results_equal_those_of_textattacks_own_wrapper(session: Session) -> None:
    """Text, outcome and queries; the wrapper pads all to one length, so at most 1 % may differ by rounding."""
    names = {"success": "SuccessfulAttackResult", "failed": "FailedAttackResult"}
    rows, stock = attacked(session), session["stock"]
    equal = [
        (row["adversarial_text"], names[row["outcome"]], row["queries"])
        == (stock[name]["text"], stock[name]["outcome"], stock[name]["queries"])
        for name, row in rows.items()
    ]

    assert sum(equal) >= 0.99 * len(equal)
    assert {name for name, result in stock.items() if result["outcome"] == "SkippedAttackResult"} == {
        name for name, row in session["rows"].items() if row["outcome"] == "skipped"
    }


def test_success_is_a_right_answer_that_changed(session: Session) -> None:
    for row in attacked(session).values():
        assert row["clean_prediction"] == row["label"]
        assert (row["adversarial_prediction"] != row["label"]) == (row["outcome"] == "success")
        assert max(row["adversarial_probabilities"]) == row["adversarial_probabilities"][row["adversarial_prediction"]]
        assert sum(row["adversarial_probabilities"]) == pytest.approx(1.0)


def test_skipped_examples_were_wrong_and_cost_nothing(session: Session) -> None:
    for row in session["rows"].values():
        if row["outcome"] == "skipped":
            assert row["clean_prediction"] != row["label"]
            assert (row["queries"], row["model_rows"], row["adversarial_text"]) == (0, 0, None)


def test_counts_are_consistent_and_within_the_budget(session: Session) -> None:
    for row in attacked(session).values():
        assert 1 <= row["model_rows"] <= row["queries"] <= 60
        assert (row["query_at_success"] is not None) == (row["outcome"] == "success")
        assert row["query_at_success"] is None or 1 < row["query_at_success"] <= row["queries"]


def test_words_changed_are_the_words_that_differ(session: Session) -> None:
    for row in attacked(session).values():
        before, after = row["text"].split(), row["adversarial_text"].split()
        assert row["words_changed"] == sum(a != b for a, b in zip(before, after, strict=True))
        assert row["words"] == len(before) - 1, "the full stop is no word"


@pytest.mark.parametrize("budget", [10, 20])
def test_a_smaller_budget_succeeds_exactly_where_the_query_at_success_says(session: Session, budget: int) -> None:
    for row, outcome in zip(session["rows"].values(), session["budgets"][str(budget)], strict=True):
        if row["outcome"] in ("success", "failed"):
            assert (outcome == "success") == (row["query_at_success"] is not None and row["query_at_success"] <= budget)


def test_random_states_of_the_process_are_put_back(session: Session) -> None:
    assert session["random_restored"]


def test_odd_texts_do_not_stop_the_others(session: Session) -> None:
    empty, pair, split, after = session["odd"]

    assert (empty["outcome"], empty["message"]) == ("skipped", "the text has no words")
    assert pair["outcome"] in ("success", "failed")
    assert len(pair["adversarial_text"]) == 2
    assert split["outcome"] == "error"
    assert "<SPLIT>" in split["message"]
    assert after["outcome"] in ("success", "failed")


def test_a_pair_is_attacked_in_either_sentence(session: Session) -> None:
    pair = session["odd"][1]

    assert pair["text"] == ["good film", "great plot"]
    assert 0 < pair["words_changed"] <= pair["words"] == 4
