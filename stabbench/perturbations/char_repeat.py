"""Typing errors: a key pressed too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class CharRepeat(CharacterEdits):
    """Doubles letters."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237
    """
    equation: ClassVar[str] = """
        Each letter stands twice where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at every higher
        rate.
    """
    changes: ClassVar[str] = """
        Length; every character stays, in order.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Twice, never more often.
    """
    pitfalls: ClassVar[str] = """
        Some doubled letters make another word (“of”, “off”).
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return the letter twice."""
        return 2 * character if character.isalpha() else None
