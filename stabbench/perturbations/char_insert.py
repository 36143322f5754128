"""Typing errors: a letter too many."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class CharInsert(CharacterEdits):
    """Puts a letter of a to z behind letters."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237
    """
    equation: ClassVar[str] = """
        Behind each letter stands another of the 26 where its draw u ~ U[0, 1) is below r, chosen by low digits of u.
        Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Length; every character of the text stays, in order.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Any letter, not only a neighbour on the keyboard.
    """
    pitfalls: ClassVar[str] = """
        A word that grows by one letter falls into more word pieces than one that loses a letter.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return the letter and a random one behind it, in its case."""
        if not character.isalpha():
            return None
        other = ascii_lowercase[draw % 26]
        return character + (other.upper() if character.isupper() else other)
