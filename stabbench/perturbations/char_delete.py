"""Typing errors: a letter is missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class CharDelete(CharacterEdits):
    """Leaves letters out."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237; Belinkov and Bisk 2018, arXiv:1711.02173
    """
    equation: ClassVar[str] = """
        Each letter is left out where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Letters of any script; digits, punctuation and spaces stay.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        A rate instead of one deletion in every word.
    """
    pitfalls: ClassVar[str] = """
        A word of one letter can vanish; its spaces stay.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return nothing in place of a letter."""
        return "" if character.isalpha() else None
