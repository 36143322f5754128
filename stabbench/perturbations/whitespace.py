"""Spaces that are missing, or too many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class Whitespace(CharacterEdits):
    """Leaves spaces out, or cuts words in two."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.02, 0.05, 0.10, 0.20, 0.30)
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237; Liang et al. 2022, arXiv:2211.09110 (space perturbation)
    """
    equation: ClassVar[str] = """
        Each character acts where its draw u ~ U[0, 1) is below r: a space goes, and behind a letter a space appears
        with chance one in four, by low digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Where words begin and end; every other character stays.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Double spaces are left out: to BERT they are no-ops.
    """
    pitfalls: ClassVar[str] = """
        Two words run together are often one unknown word.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return nothing for a space, or a letter and a space."""
        if character.isspace():
            return ""
        return f"{character} " if character.isalpha() and draw % 4 == 0 else None
