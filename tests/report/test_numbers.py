"""Numbers and hostile texts as printed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabbench.report.numbers import fixed, mean_and_sd, significant
from stabbench.report.visible import code_points, visible, word_diff


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (math.nan, "NaN"), (math.inf, "∞"), (-math.inf, "−∞"), (0.12345, "0.123"), (-0.5, "−0.500")],
)
def test_fixed_says_what_is_unknown_and_what_is_not_finite(value: float | None, text: str) -> None:
    assert fixed(value, 3) == text


@pytest.mark.parametrize(("value", "text"), [(0.0, "0"), (1234.5, "1 234"), (0.012345, "0.0123"), (15.24, "15.2")])
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "–"),
        ([0.5], "0.500"),
        ([0.70, 0.72, 0.74], "0.720 ± 0.020"),
        ([math.nan], "NaN"),
        ([1.0, 1.0], "1.000 ± 0.000"),
    ],
)
def test_a_mean_has_the_digits_that_its_spread_allows(values: list[float], text: str) -> None:
    assert mean_and_sd(values) == text


@given(st.text())
def test_visible_text_holds_no_character_that_acts(text: str) -> None:
    import unicodedata

    assert not {unicodedata.category(char) for char in visible(text)} & {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}


@given(st.text(), st.text())
def test_a_diff_of_any_texts_is_made(before: str, after: str) -> None:
    pieces = word_diff(before, after)

    assert {piece.kind for piece in pieces} <= {"same", "removed", "added"}


def test_a_diff_names_look_alike_letters() -> None:
    removed, added = word_diff("see paypal now", "see p\u0430ypal now")[1:3]

    assert (removed.text, added.note) == ("paypal", "\u0430 U+0430")
    assert code_points("plain") == ""
