"""Text that reads right on the screen and is stored in another order."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations._places import CHARACTER_RATES
from stabbench.perturbations.base import Perturbation

# Left-to-right override and isolate, right-to-left override, pop override, pop isolate.
LRO, LRI, RLO, PDF, PDI = "\u202d", "\u2066", "\u202e", "\u202c", "\u2069"


@dataclass(frozen=True)
class Reordering(Perturbation):
    """Stores pairs of characters in reverse, wrapped so that a screen shows them in the right order."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = CHARACTER_RATES
    places: ClassVar[str] = "letter"
    paper: ClassVar[str] = "Boucher et al. 2022, arXiv:2106.09898 (reorderings by bidirectional control characters)"
    equation: ClassVar[str] = """
        The letters at 0 and 1, 2 and 3, … of the text are pairs. The pair xy becomes LRO LRI RLO LRI y PDI LRI x PDI
        PDF PDI PDF, which is shown as xy, where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at every
        higher rate.
    """
    changes: ClassVar[str] = "The stored order of pairs of letters, and control characters that nobody sees."
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = "Random places instead of a search by differential evolution."
    pitfalls: ClassVar[str] = """
        A screen that does not apply the bidirectional algorithm shows the letters swapped. A tokenizer that drops the
        control characters reads the swapped letters.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its pairs of letters stored in reverse."""
        draws, limit = uniform(rng, len(text), rate)
        parts = []
        for place in range(0, len(text), 2):
            pair = text[place : place + 2]
            acts = draws[place] < limit and len(pair) == 2 and pair.isalpha()
            parts.append(shown_in_order(*pair) if acts else pair)
        return "".join(parts)


def shown_in_order(first: str, second: str) -> str:
    """Return the two characters stored second first, and shown first first."""
    return f"{LRO}{LRI}{RLO}{LRI}{second}{PDI}{LRI}{first}{PDI}{PDF}{PDI}{PDF}"
