"""Where words stand, in the text and among the tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabbench.data.example import Text
from stabbench.models.encoding import TextEncoder
from stabbench.models.loading import load_tokenizer
from stabbench.models.words import Word, with_words, words_of


@pytest.fixture(scope="module")
def encode(tiny_model: Path) -> TextEncoder:
    return TextEncoder(load_tokenizer(tiny_model), 32)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A good film.", ["A", "good", "film"]),
        ("it's well-made, isn’t it?", ["it's", "well-made", "isn’t", "it"]),
        (("Good", "the plot, too"), ["Good", "the", "plot", "too"]),
        ("… !", []),
        ("", []),
    ],
)
def test_words_are_letters_and_digits_with_marks_inside(encode: TextEncoder, text: Text, expected: list[str]) -> None:
    words = words_of(text, encode)

    assert [word.text for word in words] == expected
    parts = (text,) if isinstance(text, str) else text
    assert [parts[word.part][word.start : word.end] for word in words] == expected


@pytest.mark.parametrize("text", ["the fiilm was dull", ("a great story", "zzz good")])
def test_the_tokens_of_a_word_spell_it(encode: TextEncoder, text: Text) -> None:
    """Of a lower-casing word-piece tokenizer: the pieces without their marks, joined, are the word."""
    ids = encode([text]).input_ids[0].tolist()

    for word in words_of(text, encode):
        pieces = encode.tokenizer.convert_ids_to_tokens([ids[position] for position in word.tokens])
        assert "".join(piece.removeprefix("##") for piece in pieces) == word.text


def test_words_that_were_cut_off_have_no_tokens(tiny_model: Path) -> None:
    encode = TextEncoder(load_tokenizer(tiny_model), 5)

    words = words_of("the film was great", encode)

    assert [bool(word.tokens) for word in words] == [True, False, False, False] or words[0].tokens == (1,)
    assert words[-1].tokens == ()


@given(changes=st.dictionaries(st.integers(0, 3), st.text("xyz", max_size=6)))
def test_replaced_words_stand_where_the_old_ones_did(changes: dict[int, str]) -> None:
    first, second = "a good film", "so dull!"
    words = [
        Word("a", 0, 0, 1, ()), Word("good", 0, 2, 6, ()), Word("so", 1, 0, 2, ()), Word("dull", 1, 3, 7, ()),
    ]  # fmt: skip
    new = [changes.get(index, word.text) for index, word in enumerate(words)]

    found = with_words((first, second), words, changes)

    assert found == (f"{new[0]} {new[1]} film", f"{new[2]} {new[3]}!")
    assert with_words(first, words, {}) == first
