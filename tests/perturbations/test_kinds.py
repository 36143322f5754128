"""What each kind does to a text, counted independently of how it is done."""

from __future__ import annotations

import random
import string
import unicodedata
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench.perturbations.char_swap import CharSwap
from stabbench.perturbations.homoglyph import LOOKALIKES, Homoglyph
from stabbench.perturbations.keyboard import NEIGHBOURS, Keyboard
from stabbench.perturbations.word_drop import WordDrop

TEXTS = st.text(max_size=80) | st.text(alphabet=string.ascii_letters + " .é", max_size=120)
EXAMPLES = [str(i) for i in range(400)]
RNG = random.Random(0)
# Even words, so that every letter of a swap from the first letter is in a pair, and words without double letters.
WORDS = ["".join(RNG.sample(string.ascii_lowercase, RNG.choice((3, 4, 6, 8)))) for _ in range(30)]
TEXT = " ".join(WORDS)
LETTERS = sum(map(len, WORDS))


def edited(before: str, after: str) -> set[int]:
    return {i for i, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}


@pytest.mark.parametrize("kind", [Keyboard(), CharSwap(), Homoglyph()])
@given(text=TEXTS, example=st.text(max_size=3))
@settings(max_examples=60, deadline=None)
def test_character_edits_keep_the_length_and_are_nested(kind: Keyboard, text: str, example: str) -> None:
    versions = [kind.perturb(text, severity, example, 0) for severity in range(6)]

    assert {len(version) for version in versions} == {len(text)}
    for mild, strong in pairwise(versions):
        places = edited(text, mild)
        assert places <= edited(text, strong)
        assert all(mild[i] == strong[i] for i in places)


@given(text=TEXTS, example=st.text(max_size=3))
@settings(max_examples=60, deadline=None)
def test_dropped_words_are_nested_and_the_others_keep_their_order(text: str, example: str) -> None:
    versions = [WordDrop().perturb(text, severity, example, 0).split() for severity in range(6)]

    for mild, strong in pairwise(versions):
        rest = iter(mild)
        assert all(word in rest for word in strong)


@pytest.mark.parametrize("severity", range(1, 6))
def test_share_of_letters_hit_is_the_rate(severity: int) -> None:
    for kind in (Keyboard(), Homoglyph()):
        able = LETTERS if isinstance(kind, Keyboard) else sum(c in LOOKALIKES for c in TEXT)
        hit = sum(len(edited(TEXT, kind.perturb(TEXT, severity, example, 0))) for example in EXAMPLES)
        n, rate = able * len(EXAMPLES), kind.rates[severity - 1]

        assert abs(hit - n * rate) < 4 * (n * rate * (1 - rate)) ** 0.5


@pytest.mark.parametrize("severity", range(1, 6))
def test_share_of_pairs_swapped_is_the_rate(severity: int) -> None:
    """A run of n letters has ⌊n/2⌋ pairs from its first and ⌊(n−1)/2⌋ from its second letter, each with chance 1/2."""
    pairs = sum((len(word) // 2 + (len(word) - 1) // 2) / 2 for word in WORDS)
    swapped = sum(len(edited(TEXT, CharSwap().perturb(TEXT, severity, example, 0))) / 2 for example in EXAMPLES)
    n, rate = pairs * len(EXAMPLES), CharSwap.rates[severity - 1]

    assert abs(swapped - n * rate) < 4 * (n * rate) ** 0.5


@pytest.mark.parametrize("severity", range(1, 6))
def test_share_of_words_dropped_is_the_rate(severity: int) -> None:
    dropped = sum(len(WORDS) - len(WordDrop().perturb(TEXT, severity, example, 0).split()) for example in EXAMPLES)
    n, rate = len(WORDS) * len(EXAMPLES), WordDrop.rates[severity - 1]

    assert abs(dropped - n * rate) < 4 * (n * rate * (1 - rate)) ** 0.5


def test_what_a_letter_becomes_does_not_lean_to_one_neighbour() -> None:
    after = Counter(Keyboard().perturb("g" * 200, 5, example, 0)[i] for example in EXAMPLES for i in range(200))
    hits = [after[c] for c in NEIGHBOURS["g"]]

    assert set(after) == {"g", *NEIGHBOURS["g"]}
    assert max(hits) / min(hits) < 1.15


def test_neighbours_are_mutual_and_as_on_the_keyboard() -> None:
    assert set(NEIGHBOURS["g"]) == set("ftyhbv")
    assert set(NEIGHBOURS["a"]) == set("qwsz")
    assert set(NEIGHBOURS["M"]) == set("NJK")
    assert all(key in NEIGHBOURS[other] for key, others in NEIGHBOURS.items() for other in others)


def test_lookalikes_are_other_letters_of_the_same_case() -> None:
    for latin, other in LOOKALIKES.items():
        assert other not in string.printable
        assert (latin.isupper(), latin.islower()) == (other.isupper(), other.islower())
        assert unicodedata.normalize("NFKC", other) == other, "a tokenizer must not undo it"


@given(text=TEXTS)
@settings(max_examples=60, deadline=None)
def test_swaps_keep_every_character_and_move_it_one_place_inside_its_word(text: str) -> None:
    after = CharSwap().perturb(text, 5, "a", 0)
    places = sorted(edited(text, after))

    assert Counter(after) == Counter(text)
    assert [c.isalpha() for c in after] == [c.isalpha() for c in text]
    assert all(after[i] in (text[i - 1 : i] + text[i + 1 : i + 2]) for i in places)


def test_two_letter_words_can_swap_and_one_letter_words_cannot() -> None:
    assert {CharSwap().perturb("ab", 5, example, 0) for example in EXAMPLES} == {"ab", "ba"}
    assert {CharSwap().perturb("a b 1 2", 5, example, 0) for example in EXAMPLES} == {"a b 1 2"}


def test_one_word_always_stays_and_punctuation_is_no_word() -> None:
    assert WordDrop().perturb("alone", 5, "a", 0) == "alone"
    for example in EXAMPLES:
        left = WordDrop().perturb("  good , bad .\n", 5, example, 0).split()
        assert set(left) >= {",", "."}
        assert {"good", "bad"} & set(left)
