"""Punctuation that is missing or repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from unicodedata import category

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class Punctuation(CharacterEdits):
    """Leaves punctuation marks out, or repeats them."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.2, 0.4, 0.6, 0.8, 0.95)
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237; Liang et al. 2022, arXiv:2211.09110
    """
    equation: ClassVar[str] = """
        Each mark acts where its draw u ~ U[0, 1) is below r; low digits of u decide by a fair draw whether it goes or
        stands twice. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Punctuation marks; letters, digits and spaces stay.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Marks are never added where there was none.
    """
    pitfalls: ClassVar[str] = """
        A text of marks alone stays as it is where nothing would be left.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return no mark or two."""
        return ("" if draw & 1 else 2 * character) if category(character).startswith("P") else None
