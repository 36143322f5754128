"""Words in another order, near where they stood."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

_PIECES = re.compile(r"\S+")
_WHOLE = 2**32


@dataclass(frozen=True)
class WordShuffle(Perturbation):
    """Moves words to another place near their own."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.05, 0.10, 0.20, 0.35, 0.50)
    places: ClassVar[str] = "word"
    paper: ClassVar[str] = (
        "Sinha et al. 2021, arXiv:2104.06644 (word order); Moradi and Samwald 2021, arXiv:2108.12237 (word swap)"
    )
    equation: ClassVar[str] = """
        Word j of n gets the key j + 2·r·n·u_j with u_j ~ U[0, 1), and the words are sorted by their keys: the larger r,
        the farther a word moves, at most 2·r·n places; spaces stay where they are.
    """
    changes: ClassVar[str] = "The order of the words; the words and the spaces stay."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = "Words move about their place instead of being shuffled over the whole text."
    pitfalls: ClassVar[str] = """
        A diagnosis as much as a noise: a model that loses nothing at severity 5 does not read word order. Severities
        share their draws and are not subsets of one another.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with its words moved by up to 2·`rate` of its length."""
        found = list(_PIECES.finditer(text))
        draws, _ = uniform(rng, len(found), rate)
        reach = 2 * rate * len(found)
        order = sorted(range(len(found)), key=lambda j: j + reach * draws[j] / _WHOLE)
        parts, end = [], 0
        for match, j in zip(found, order, strict=True):
            parts += [text[end : match.start()], found[j][0]]
            end = match.end()
        return "".join([*parts, text[end:]])
