"""Edits at independent places: one draw per place decides whether it acts, its low digits what it becomes."""

from __future__ import annotations

import re
from abc import abstractmethod
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

CHARACTER_RATES = (0.01, 0.03, 0.05, 0.10, 0.20)
"""Share of characters, severity 1 … 5."""
WORD_RATES = (0.05, 0.10, 0.20, 0.35, 0.50)
"""Share of the words that a kind can act on, severity 1 … 5."""
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


class CharacterEdits(Perturbation):
    """Acts on characters one by one."""

    rates: ClassVar[tuple[float, float, float, float, float]] = CHARACTER_RATES
    places: ClassVar[str] = "letter"

    @abstractmethod
    def replacement(self, character: str, draw: int) -> str | None:
        """Return what an acting character becomes, or None where the kind does not apply to it.

        `draw` is uniform below the rate's limit; its low digits choose among replacements.
        """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its characters replaced."""
        draws, limit = uniform(rng, len(text), rate)
        letters: list[str] | None = None
        for place in [i for i, u in enumerate(draws) if u < limit]:
            found = self.replacement(text[place], draws[place])
            if found is not None:
                letters = letters or list(text)
                letters[place] = found
        if letters is None:
            return text
        changed = "".join(letters)
        # A text is never lost: an edit that would leave nothing to read is not made.
        return changed if changed.strip() or not text.strip() else text


class WordEdits(Perturbation):
    """Acts on words one by one; a word is a run of letters and digits, with apostrophes and hyphens inside."""

    rates: ClassVar[tuple[float, float, float, float, float]] = WORD_RATES
    places: ClassVar[str] = "word"

    @abstractmethod
    def replacement(self, word: str, draw: int) -> str | None:
        """Return what an acting word becomes, or None where the kind does not apply to it."""

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its words replaced."""
        found = list(_WORD.finditer(text))
        draws, limit = uniform(rng, len(found), rate)
        parts, end = [], 0
        for match, draw in zip(found, draws, strict=True):
            new = self.replacement(match[0], draw) if draw < limit else None
            if new is not None:
                parts += [text[end : match.start()], new]
                end = match.end()
        return "".join([*parts, text[end:]]) if parts else text


def cased_like(word: str, model: str) -> str:
    """Return `word` in upper case, or with a capital, where `model` is."""
    if len(model) > 1 and model.isupper():
        return word.upper()
    return word[:1].upper() + word[1:] if model[:1].isupper() else word
