"""Words in capitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits


@dataclass(frozen=True)
class WordCase(WordEdits):
    """Writes words in capitals."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237
    """
    equation: ClassVar[str] = """
        Each word is written in capitals where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at every
        higher rate.
    """
    changes: ClassVar[str] = """
        The case of words.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Capitals only.
    """
    pitfalls: ClassVar[str] = """
        To an uncased model every edit is a no-op: read the no-op share, and do not average it in.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return the word in capitals; None where it has no lower case."""
        return word.upper() if word.upper() != word else None
