"""Contractions written out, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits, cased_like

EXPANSIONS: dict[str, str] = {
    "aren't": "are not", "can't": "cannot", "couldn't": "could not", "didn't": "did not", "doesn't": "does not",
    "don't": "do not", "hadn't": "had not", "hasn't": "has not", "haven't": "have not", "he'll": "he will",
    "he's": "he is", "i'd": "I would", "i'll": "I will", "i'm": "I am", "i've": "I have", "isn't": "is not",
    "it'll": "it will", "it's": "it is", "she's": "she is", "shouldn't": "should not", "that's": "that is",
    "there's": "there is", "they'll": "they will", "they're": "they are", "they've": "they have",
    "wasn't": "was not", "we'll": "we will", "we're": "we are", "we've": "we have", "weren't": "were not",
    "what's": "what is", "who's": "who is", "won't": "will not", "wouldn't": "would not", "you'll": "you will",
    "you're": "you are", "you've": "you have",
}  # fmt: skip


@dataclass(frozen=True)
class Contraction(WordEdits):
    """Writes contractions out."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.2, 0.4, 0.6, 0.8, 0.95)
    paper: ClassVar[str] = """
        Ribeiro et al. 2020, arXiv:2005.04118 (contractions); Liang et al. 2022, arXiv:2211.09110
    """
    equation: ClassVar[str] = """
        Each contraction of the table is written out where its draw u ~ U[0, 1) is below r. Edits at rate r are edits
        at every higher rate.
    """
    changes: ClassVar[str] = """
        35 English contractions; the meaning stays.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Only written out; ambiguous ones (“he'd”, “it's” before a participle) take their commoner form.
    """
    pitfalls: ClassVar[str] = """
        Most sentences hold no contraction: the no-op share says how many.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return the two words that the contraction stands for."""
        whole = EXPANSIONS.get(word.lower().replace("’", "'"))
        return cased_like(whole, word) if whole else None
