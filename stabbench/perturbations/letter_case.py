"""Letters in the wrong case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class LetterCase(CharacterEdits):
    """Turns letters to the other case."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.1, 0.2, 0.4, 0.7, 0.9)
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237
    """
    equation: ClassVar[str] = """
        Each letter with two cases changes its case where its draw u ~ U[0, 1) is below r. Edits at rate r are edits
        at every higher rate.
    """
    changes: ClassVar[str] = """
        The case of letters; the text is the same to a model that ignores case.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Single letters, not whole words.
    """
    pitfalls: ClassVar[str] = """
        To an uncased model every edit is a no-op: read the no-op share, and do not average it in.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return the letter in the other case, where it has one of the same length."""
        other = character.swapcase()
        return other if other != character and len(other) == 1 else None
