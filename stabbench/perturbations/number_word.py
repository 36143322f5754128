"""Numbers written as words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits

_SMALL = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"


@dataclass(frozen=True)
class NumberWord(WordEdits):
    """Writes whole numbers below a hundred as English words."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.2, 0.4, 0.6, 0.8, 0.95)
    sample: ClassVar[str] = "the 2 films cost 35 and 7 and 19 and 90 and 11"
    paper: ClassVar[str] = "Dhole et al. 2021, NL-Augmenter, arXiv:2112.02721 (numbers to words)"
    equation: ClassVar[str] = """
        Each number from 0 to 99 is written as words where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at
        every higher rate.
    """
    changes: ClassVar[str] = "Numbers from 0 to 99; the meaning stays."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = "Whole numbers below a hundred only."
    pitfalls: ClassVar[str] = "Most sentences hold none: the no-op share says how many."

    def replacement(self, word: str, draw: int) -> str | None:
        """Return the number in words; None where the word is no such number."""
        return in_words(int(word)) if word.isascii() and word.isdigit() and len(word) <= 2 else None


def in_words(number: int) -> str:
    """Return a number from 0 to 99 in English words."""
    if number < 20:
        return _SMALL.split()[number]
    tens, ones = divmod(number, 10)
    return _TENS.split()[tens - 2] + (f"-{_SMALL.split()[ones]}" if ones else "")
