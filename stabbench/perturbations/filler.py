"""Words of speech that say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits

FILLERS = ("um", "uh", "well", "you know", "like", "I mean", "actually", "basically")


@dataclass(frozen=True)
class Filler(WordEdits):
    """Puts fillers of speech before words."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.05, 0.10, 0.15, 0.20, 0.30)
    paper: ClassVar[str] = """
        Liang et al. 2022, arXiv:2211.09110 (filler words)
    """
    equation: ClassVar[str] = """
        Before each word stands one of eight fillers where its draw u ~ U[0, 1) is below r, chosen by low digits of u.
        Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Length; every word stays, in order.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Eight English fillers.
    """
    pitfalls: ClassVar[str] = """
        Fillers between the words of a name or an idiom break it.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return a filler and the word."""
        return f"{FILLERS[draw % len(FILLERS)]} {word}"
