"""Laws of every recipe that runs here, against textattack's own wrapper, goal function and padding."""

from __future__ import annotations

from typing import Any

import pytest

from stabbench import registry

Session = dict[str, Any]
NAMES = [
    name
    for name in registry.names("attacks")
    if registry.load("attacks", name).tier != "full" or registry.load("attacks", name).encoder
]
"""Those that need no download: a masked language model is made up, as vectors and sentence encoder are."""
SWARMS = ("iga-wordnet", "leap", "pso-wordnet")
"""Searches that draw among what they have found, so that another budget can end on another text."""


def recipe(session: Session, name: str) -> dict[str, Any]:
    found: dict[str, Any] = session["recipes"][name]
    if found["missing"]:
        pytest.skip(found["missing"])
    return found


def attacked(found: dict[str, Any]) -> dict[str, Any]:
    return {name: row for name, row in found["rows"].items() if row["outcome"] in ("success", "failed")}


@pytest.mark.parametrize("name", NAMES)
def test_no_example_raises_and_some_are_attacked(session: Session, name: str) -> None:
    found = recipe(session, name)

    assert {row["message"] for row in found["rows"].values() if row["outcome"] == "error"} == set()
    assert len(attacked(found)) >= 4
    assert any(row["adversarial_text"] != row["text"] for row in attacked(found).values())


@pytest.mark.parametrize("name", NAMES)
def test_lock_step_order_and_hash_seed_change_nothing(session: Session, other_session: Session, name: str) -> None:
    """One by one forwards against five in lock-step backwards: what differs was a tie below 1e-5."""
    one, five = recipe(session, name)["rows"], recipe(other_session, name)
    differing = [example for example, row in five["rows"].items() if row != one[example]]

    assert len(differing) <= 0.01 * len(one) or all(five["closest"][example] < 1e-5 for example in differing)


@pytest.mark.parametrize("name", NAMES)
def test_results_equal_those_under_textattacks_own_wrapper(session: Session, name: str) -> None:
    """Text, outcome and queries of at least 99 % of the examples."""
    found = recipe(session, name)
    names = {"SuccessfulAttackResult": "success", "FailedAttackResult": "failed"}
    equal = []
    for example, row in attacked(found).items():
        stock = found["stock"][example]
        outcome = row["outcome"] if stock["outcome"] == "MaximizedAttackResult" else names[stock["outcome"]]
        ours = (row["adversarial_text"], row["outcome"], row["queries"])
        equal.append(ours == (stock["text"], outcome, stock["queries"]))

    assert sum(equal) >= 0.99 * len(equal)


@pytest.mark.parametrize("name", NAMES)
def test_success_is_what_the_model_says(session: Session, name: str) -> None:
    found = recipe(session, name)
    for row in attacked(found).values():
        kept = row["adversarial_prediction"] == row["label"]
        assert row["clean_prediction"] == row["label"]
        assert 1 <= row["model_rows"] <= row["queries"] <= 90
        if found["goal"] == "keep":
            assert kept
            assert (row["outcome"] == "success") == (row["words_left"] < row["words"])
            assert row["query_at_success"] is None
        else:
            assert kept == (row["outcome"] == "failed")
            assert (row["query_at_success"] is None) == kept


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_stays_a_pair(session: Session, name: str) -> None:
    recipe(session, name)
    row = session["pairs"][name]

    assert row["outcome"] in ("success", "failed"), row["message"]
    assert len(row["adversarial_text"]) == 2


@pytest.mark.parametrize("name", [name for name in NAMES if name not in (*SWARMS, "input-reduction")])
def test_a_smaller_budget_succeeds_exactly_where_the_query_at_success_says(session: Session, name: str) -> None:
    found = recipe(session, name)
    for example, row in attacked(found).items():
        query = row["query_at_success"]
        assert (found["smaller"][example] == "success") == (query is not None and query <= 30)


def test_hotflip_flips_one_word_tokens_of_a_fifth_of_the_places(session: Session) -> None:
    for row in attacked(recipe(session, "hotflip")).values():
        pairs = list(zip(row["text"].split(), row["adversarial_text"].split(), strict=True))
        changed = [(a, b) for a, b in pairs if a != b]
        assert len(changed) <= max(1, len(pairs) // 5)
        assert all(a.isalpha() and b.isalpha() for a, b in changed)


def test_hotflips_gains_are_derivatives_of_the_loss_and_in_order(session: Session) -> None:
    """Against central differences in double precision."""
    gains = [gain for gain, _ in session["first_order"]]

    assert gains == sorted(gains, reverse=True)
    assert len(gains) == 5
    for gain, difference in session["first_order"]:
        assert gain == pytest.approx(difference, rel=1e-4)


def test_input_reduction_leaves_a_text_from_which_no_word_can_go(session: Session) -> None:
    """A subsequence of the words, at least one; one where every removal would lose the answer or the budget ended."""
    for row in attacked(recipe(session, "input-reduction")).values():
        rest = iter(row["text"].split())
        assert all(word in rest for word in row["adversarial_text"].split())
        assert 1 <= row["words_left"] <= row["words"]
        assert row["words_changed"] == row["words"] - row["words_left"]


def test_pruthi_changes_one_word_and_neither_its_first_nor_its_last_letter(session: Session) -> None:
    for row in attacked(recipe(session, "pruthi")).values():
        pairs = zip(row["text"].split(), row["adversarial_text"].split(), strict=True)
        changed = [(a, b) for a, b in pairs if a != b]
        assert len(changed) <= 1
        assert all(len(a) >= 4 and (a[0], a[-1]) == (b[0], b[-1]) for a, b in changed)
