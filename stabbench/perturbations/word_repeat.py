"""Words said twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits


@dataclass(frozen=True)
class WordRepeat(WordEdits):
    """Repeats words."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.05, 0.10, 0.15, 0.25, 0.40)
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237
    """
    equation: ClassVar[str] = """
        Each word stands twice, with a space between, where its draw u ~ U[0, 1) is below r. Edits at rate r are edits
        at every higher rate.
    """
    changes: ClassVar[str] = """
        Length; no word goes.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Twice, never more often.
    """
    pitfalls: ClassVar[str] = """
        Repeating “very” or “not” changes the strength of what is said, rarely its side.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return the word twice."""
        return f"{word} {word}"
