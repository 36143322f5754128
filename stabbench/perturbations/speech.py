"""Text as a recogniser of speech writes it: no case, no punctuation, hesitations, words that sound alike."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar
from unicodedata import category

from stabbench.perturbations._places import WordEdits
from stabbench.perturbations.filler import FILLERS
from stabbench.perturbations.homophone import HOMOPHONES


@dataclass(frozen=True)
class Speech(WordEdits):
    """Writes the text as dictated: lower case, no punctuation, homophones, hesitations and repeated words."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.05, 0.10, 0.15, 0.20, 0.30)
    paper: ClassVar[str] = "Dhole et al. 2021, NL-Augmenter, arXiv:2112.02721 (speech and disfluency); own combination"
    equation: ClassVar[str] = """
        At every severity letters are lower case and punctuation is gone. Then each word acts where its draw u ~ U[0, 1)
        is below r: it becomes a homophone where it has one, else low digits of u choose between a filler before it and
        saying it twice. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = "Case, punctuation, and single words."
    cost: ClassVar[str] = "About 25 µs a sentence; no model."
    departures: ClassVar[str] = "Rules instead of a synthesiser and a recogniser."
    pitfalls: ClassVar[str] = "The rates are shares of words; case and punctuation go at every severity."

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` as dictated; a text without letters and digits stays."""
        plain = "".join(c for c in text.lower() if not category(c).startswith("P") or c in "'’")
        return super().edit(plain, rate, rng) if any(map(str.isalnum, plain)) else text

    def replacement(self, word: str, draw: int) -> str | None:
        """Return a homophone, or a hesitation with the word."""
        alike = HOMOPHONES.get(word)
        if alike:
            return alike[draw % len(alike)]
        return f"{word} {word}" if draw & 1 else f"{FILLERS[draw // 2 % len(FILLERS)]} {word}"
