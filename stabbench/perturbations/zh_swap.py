"""Chinese characters in the wrong order."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations._places import CHARACTER_RATES
from stabbench.perturbations.base import Perturbation
from stabbench.perturbations.zh_drop import is_ideograph


@dataclass(frozen=True)
class ZhSwap(Perturbation):
    """Swaps adjacent Chinese characters."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = CHARACTER_RATES
    places: ClassVar[str] = "letter"
    sample: ClassVar[str] = "这家酒店的房间很干净，服务员也非常热情，下次还会再来。"
    paper: ClassVar[str] = "Belinkov and Bisk 2018, arXiv:1711.02173 (swap), on Chinese characters"
    equation: ClassVar[str] = """
        The characters at 0 and 1, 2 and 3, … of the text are pairs; a pair of ideographs swaps where its draw
        u ~ U[0, 1) is below r. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = "The order of Chinese characters; the multiset of characters stays the same."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = "Fixed pairs, so that edits are nested."
    pitfalls: ClassVar[str] = "Readers often do not notice it; models do."

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its pairs of ideographs swapped."""
        draws, limit = uniform(rng, len(text), rate)
        letters: list[str] | None = None
        for place in range(0, len(text) - 1, 2):
            if draws[place] < limit and is_ideograph(text[place]) and is_ideograph(text[place + 1]):
                letters = letters or list(text)
                letters[place], letters[place + 1] = text[place + 1], text[place]
        return text if letters is None else "".join(letters)
