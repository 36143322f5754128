"""Parts of speech from lemminflect's dictionary, which textattack brings, in the place of a tagger to download."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from textattack.constraints import Constraint
from textattack.shared.validators import transformation_consists_of_word_swaps


class SameWordClass(Constraint):  # type: ignore[misc]
    """A word may be swapped for one that can be of the same class: adjective, adverb, verb or noun (these two are one).

    A word of no entry is of the class of names and unknown words.
    """

    def __init__(self) -> None:
        super().__init__(compare_against_original=True)

    def check_compatibility(self, transformation: Any) -> bool:
        """Return whether the edit swaps words."""
        return bool(transformation_consists_of_word_swaps(transformation))

    def _check_constraint(self, transformed_text: Any, reference_text: Any) -> bool:
        places = transformed_text.attack_attrs["newly_modified_indices"]
        before, after = reference_text.words, transformed_text.words
        return all(i < len(before) and i < len(after) and classes(before[i]) & classes(after[i]) for i in places)


@lru_cache(maxsize=1 << 16)
def classes(word: str) -> frozenset[str]:
    """Return the classes a word can be of: out of ``ADJ ADV WORD`` (verb or noun) and so on; ``{"X"}`` if unknown."""
    from lemminflect import getAllLemmas

    found = {"WORD" if name in ("NOUN", "VERB", "PROPN", "AUX") else name for name in getAllLemmas(word.lower())}
    return frozenset(found or {"X"})
