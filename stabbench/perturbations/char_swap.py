"""Typing errors: two letters in the wrong order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

_LETTERS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class CharSwap(Perturbation):
    """Swaps adjacent letters inside words."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.01, 0.03, 0.05, 0.10, 0.20)
    places: ClassVar[str] = "letter"
    paper: ClassVar[str] = "Belinkov and Bisk 2018, arXiv:1711.02173 (swap); Moradi and Samwald 2021, arXiv:2108.12237"
    equation: ClassVar[str] = """
        Each run of letters is cut into adjacent pairs, from its first or its second letter by a fair draw (pairs of two
        letters always from the first). A pair swaps where its draw u ~ U[0, 1) is below r, so a share r of the paired
        letters moves, each at most one place. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = "The order of letters of any script; the multiset of characters stays the same."
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = "A rate instead of one swap in every word; first and last letters may move."
    pitfalls: ClassVar[str] = """
        A pair of equal letters swaps into itself. One letter of an odd run is in no pair, so the share of all letters
        that moves is a little below the rate.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its pairs of letters swapped."""
        draws, limit = uniform(rng, len(text), rate)
        letters: list[str] | None = None
        for run in _LETTERS.finditer(text):
            start, end = run.span()
            first = start + (draws[end - 1] & 1 if end - start > 2 else 0)
            for place in range(first, end - 1, 2):
                if draws[place] < limit:
                    letters = letters or list(text)
                    letters[place], letters[place + 1] = text[place + 1], text[place]
        return text if letters is None else "".join(letters)
