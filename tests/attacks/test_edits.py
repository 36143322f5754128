"""Words changed, against a recursive definition."""

from __future__ import annotations

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from stabbench.attacks.engine.edits import words, words_changed

SENTENCES = st.lists(st.sampled_from(["a", "b", "c"]), max_size=6).map(tuple)


@given(SENTENCES, SENTENCES)
def test_words_changed_is_the_levenshtein_distance(a: tuple[str, ...], b: tuple[str, ...]) -> None:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        same = a[i - 1] == b[j - 1]
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (not same))

    assert words_changed(" ".join(a), " ".join(b)) == distance(len(a), len(b))


def test_words_hold_a_letter_or_a_digit_and_those_of_a_pair_are_joined() -> None:
    assert words("It's 2 good , - … well-made .") == ["It's", "2", "good", "well-made"]
    assert words(("a b", "c")) == ["a", "b", "c"]
