"""Accents where none belong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from unicodedata import normalize

from stabbench.perturbations._places import CharacterEdits

# Combining grave, acute, circumflex, tilde, diaeresis.
MARKS = ("\u0300", "\u0301", "\u0302", "\u0303", "\u0308")


@dataclass(frozen=True)
class Diacritics(CharacterEdits):
    """Puts an accent on vowels and some consonants."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Eger et al. 2019, arXiv:1903.11508 (visual perturbations)
    """
    equation: ClassVar[str] = """
        Each letter of the table becomes one of its accented forms where its draw u ~ U[0, 1) is below r, chosen by
        low digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Latin letters; length stays.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Accents only, not the nearest glyphs of a font.
    """
    pitfalls: ClassVar[str] = """
        A tokenizer that strips accents, as uncased BERT's does, makes every edit a no-op.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return the letter with one of the accents, as one character."""
        marked = [form for mark in MARKS if len(form := normalize("NFC", character + mark)) == 1]
        return marked[draw % len(marked)] if character.isascii() and character.isalpha() and marked else None
