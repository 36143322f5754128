"""Characters that nobody sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits

INVISIBLE = ("\u200b", "\u200c", "\u200d", "\u00ad")


@dataclass(frozen=True)
class ZeroWidth(CharacterEdits):
    """Puts invisible characters behind letters."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Boucher et al. 2022, arXiv:2106.09898 (imperceptible perturbations)
    """
    equation: ClassVar[str] = """
        Behind each letter stands one of four characters without width where its draw u ~ U[0, 1) is below r, chosen
        by low digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Nothing that a reader sees: zero-width space, non-joiner, joiner and soft hyphen.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Random places instead of a search.
    """
    pitfalls: ClassVar[str] = """
        A tokenizer that drops format characters, as BERT's does, makes most edits no-ops.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return the letter and an invisible character behind it."""
        return character + INVISIBLE[draw % len(INVISIBLE)] if character.isalpha() else None
