"""Kinds that act at independent places: nested edits, exact rates, tables that keep what they promise."""

from __future__ import annotations

import random
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench import registry
from stabbench.perturbations._places import CharacterEdits, WordEdits, cased_like
from stabbench.perturbations.contraction import EXPANSIONS
from stabbench.perturbations.diacritics import Diacritics
from stabbench.perturbations.homophone import HOMOPHONES
from stabbench.perturbations.misspelling import MISSPELLINGS
from stabbench.perturbations.number_word import in_words
from stabbench.perturbations.reordering import Reordering, shown_in_order
from stabbench.perturbations.spelling_variant import VARIANTS
from stabbench.perturbations.truncation import Truncation
from stabbench.perturbations.word_shuffle import WordShuffle
from stabbench.perturbations.zero_width import INVISIBLE, ZeroWidth
from stabbench.perturbations.zh_homophone import SOUNDS
from stabbench.perturbations.zh_shape import SHAPES
from stabbench.perturbations.zh_swap import ZhSwap

MADE = [
    p for name in registry.names("perturbations") if (p := registry.load("perturbations", name)()).missing() is None
]
CHARACTER_KINDS = [kind for kind in MADE if isinstance(kind, CharacterEdits)]
WORD_KINDS = [kind for kind in MADE if isinstance(kind, WordEdits) and type(kind).edit is WordEdits.edit]


def name(kind: object) -> str:
    return type(kind).__name__


class Watched:
    """Notes the places at which a kind acts, by giving back marked replacements."""

    def __init__(self, kind: CharacterEdits | WordEdits) -> None:
        self.kind, self.original, self.count = kind, kind.replacement, 0

    def __call__(self, piece: str, draw: int) -> str | None:
        self.count += self.original(piece, draw) is not None
        return self.original(piece, draw)


def acted(kind: CharacterEdits | WordEdits, text: str, severity: int, example: str) -> int:
    watched = Watched(kind)
    object.__setattr__(kind, "replacement", watched)
    try:
        kind.perturb(text, severity, example, 0)
    finally:
        object.__delattr__(kind, "replacement")
    return watched.count


@pytest.mark.parametrize("kind", [*CHARACTER_KINDS, *WORD_KINDS], ids=name)
@pytest.mark.parametrize("severity", [1, 3, 5])
def test_the_share_of_places_that_act_is_the_rate(kind: CharacterEdits | WordEdits, severity: int) -> None:
    """Within four binomial standard deviations, over the places at which the kind can act."""
    # A draw below the smallest limit acts at every severity; low digits of such draws choose what happens.
    rate = kind.rates[severity - 1]
    # Words of the samples are separated by spaces, with at most a mark behind them.
    words = kind.sample.translate({ord(mark): "" for mark in ",:."}).split()
    pieces = list(kind.sample) if isinstance(kind, CharacterEdits) else words
    rng = random.Random(0)
    able = sum(
        sum(kind.replacement(piece, rng.randrange(2**20)) is not None for _ in range(200)) / 200 for piece in pieces
    )
    assert able > 0
    n = able * 400
    hits = sum(acted(kind, kind.sample, severity, str(i)) for i in range(400))

    assert abs(hits - n * rate) < 4 * (n * rate * (1 - rate)) ** 0.5 + 0.06 * n * rate


@pytest.mark.parametrize("kind", CHARACTER_KINDS, ids=name)
@given(text=st.text(alphabet="abz o0m,.!?'é 的在", max_size=40), example=st.text(max_size=3))
@settings(max_examples=30, deadline=None)
def test_what_a_severity_changes_a_higher_one_changes_in_the_same_way(
    kind: CharacterEdits, text: str, example: str
) -> None:
    """Rebuild each version from (place → replacement) of the highest severity: a lower one uses a subset of it."""
    found = []
    for severity in range(1, 6):
        parts: list[str | None] = []
        watched = kind.replacement

        def note(character: str, draw: int, parts: list[str | None] = parts, watched: object = watched) -> str | None:
            new: str | None = watched(character, draw)  # type: ignore[operator]
            parts.append(None if new is None else f"{character}>{new}@{draw}")
            return new

        object.__setattr__(kind, "replacement", note)
        try:
            kind.perturb(text, severity, example, 0)
        finally:
            object.__delattr__(kind, "replacement")
        found.append({part for part in parts if part})

    assert all(mild <= strong for mild, strong in pairwise(found))


def test_accents_stay_one_character_and_fall_off_again() -> None:
    after = Diacritics().perturb("the quick brown fox jumps over the lazy dog", 5, "a", 0)
    plain = "".join(c for c in unicodedata.normalize("NFD", after) if not unicodedata.combining(c))

    assert after != plain == "the quick brown fox jumps over the lazy dog"
    assert len(after) == len(plain)


def test_invisible_characters_are_all_that_is_added() -> None:
    text = "the quick brown fox"
    after = ZeroWidth().perturb(text, 5, "a", 0)

    assert "".join(c for c in after if c not in INVISIBLE) == text
    assert all(unicodedata.category(c) == "Cf" for c in INVISIBLE)


@pytest.mark.parametrize("number", [0, 7, 13, 20, 21, 99])
def test_numbers_in_words_are_those_of_num2words(number: int) -> None:
    from num2words import num2words

    assert in_words(number) == num2words(number)


def test_tables_lead_back_and_never_to_the_same_word() -> None:
    for table in (SOUNDS, SHAPES):
        assert all(c not in others and c in table[other] for c, others in table.items() for other in others)
    for word, others in HOMOPHONES.items():
        assert word not in others
        assert all(word in HOMOPHONES[other] for other in others)
    assert all(VARIANTS[other] == word != other for word, other in VARIANTS.items())
    assert all(word not in wrong for word, wrong in MISSPELLINGS.items())
    assert all("'" in short and "'" not in whole for short, whole in EXPANSIONS.items())


@pytest.mark.parametrize(
    ("word", "model", "expected"),
    [("two", "Too", "Two"), ("two", "TOO", "TWO"), ("two", "too", "two"), ("i am", "I", "I am")],
)
def test_case_follows_the_word_replaced(word: str, model: str, expected: str) -> None:
    assert cased_like(word, model) == expected


@given(st.text(alphabet="ab c\n", max_size=40))
@settings(max_examples=60, deadline=None)
def test_shuffled_words_are_the_same_words_between_the_same_spaces(text: str) -> None:
    after = WordShuffle().perturb(text, 5, "a", 0)

    assert sorted(after.split()) == sorted(text.split())
    assert [c for c in after if c.isspace()] == [c for c in text if c.isspace()]


@pytest.mark.parametrize("severity", range(1, 6))
def test_words_move_no_farther_than_declared(severity: int) -> None:
    words = [f"w{i}" for i in range(40)]
    for example in map(str, range(50)):
        after = WordShuffle().perturb(" ".join(words), severity, example, 0).split()
        assert max(abs(after.index(w) - i) for i, w in enumerate(words)) <= 2 * WordShuffle.rates[severity - 1] * 40


@pytest.mark.parametrize("severity", range(1, 6))
def test_the_mean_share_cut_off_is_the_rate(severity: int) -> None:
    words = [f"w{i}" for i in range(17)]
    kept = [Truncation().perturb(" ".join(words), severity, str(i), 0).split() for i in range(400)]

    assert all(found == words[: len(found)] for found in kept)
    assert sum(17 - len(found) for found in kept) / (400 * 17) == pytest.approx(
        Truncation.rates[severity - 1], abs=0.01
    )


def test_reordered_pairs_are_shown_in_order_by_the_bidirectional_algorithm() -> None:
    """The override turns its two isolates round; each isolate holds one character, so the screen shows xy."""
    stored = shown_in_order("x", "y")

    assert [c for c in stored if c.isalpha()] == ["y", "x"]
    assert [unicodedata.bidirectional(c) for c in stored] == [
        "LRO", "LRI", "RLO", "LRI", "L", "PDI", "LRI", "L", "PDI", "PDF", "PDI", "PDF",
    ]  # fmt: skip
    after = Reordering().perturb("abcdefgh ijkl", 5, "c", 0)
    assert sorted(c for c in after if unicodedata.category(c) != "Cf") == sorted("abcdefgh ijkl")


def test_swapped_ideographs_are_the_same_and_stay_within_their_pair() -> None:
    text = ZhSwap.sample
    versions = {ZhSwap().perturb(text, 5, str(i), 0) for i in range(30)}

    assert len(versions) > 1
    assert all(sorted(v) == sorted(text) for v in versions)
    assert all(sorted(v[i : i + 2]) == sorted(text[i : i + 2]) for v in versions for i in range(0, len(text), 2))
