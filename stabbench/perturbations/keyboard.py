"""Typing errors: a neighbouring key is hit."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
# Each row of keys stands half a key further right than the one above: key j of a row touches j and j + 1 of the row
# above and j − 1 and j of the row below.
_ABOVE, _BELOW = (0, 1), (-1, 0)


def _neighbours() -> dict[str, str]:
    """Return letter → the letters of the keys that touch its key, in both cases."""
    found = {}
    for r, row in enumerate(_ROWS):
        for j, key in enumerate(row):
            places = [(r, j - 1), (r, j + 1), *((r - 1, j + d) for d in _ABOVE), *((r + 1, j + d) for d in _BELOW)]
            touching = "".join(_ROWS[y][x] for y, x in places if 0 <= y < len(_ROWS) and 0 <= x < len(_ROWS[y]))
            found[key], found[key.upper()] = touching, touching.upper()
    return found


NEIGHBOURS = _neighbours()


@dataclass(frozen=True)
class Keyboard(Perturbation):
    """Replaces letters by a letter of a touching key of a QWERTY keyboard, case kept."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.01, 0.03, 0.05, 0.10, 0.20)
    places: ClassVar[str] = "letter"
    paper: ClassVar[str] = (
        "Belinkov and Bisk 2018, arXiv:1711.02173 (keyboard noise); Moradi and Samwald 2021, arXiv:2108.12237"
    )
    equation: ClassVar[str] = """
        For each letter i of the text one draw uᵢ ~ U[0, 1); where uᵢ < r the letter becomes one of the 2 to 6 letters
        whose keys touch its key, chosen by low digits of uᵢ. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = "Letters a-z and A-Z; length, digits, punctuation, spaces and other scripts stay."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = "One rate per letter of the text instead of one error in every word."
    pitfalls: ClassVar[str] = """
        A short text can stay unchanged at severity 1 (no-op share says how many did). Not the errors people make most:
        real typists also drop and double letters.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its letters hit beside."""
        draws, limit = uniform(rng, len(text), rate)
        letters: list[str] | None = None
        for place in [i for i, u in enumerate(draws) if u < limit]:
            touching = NEIGHBOURS.get(text[place])
            if touching:
                letters = letters or list(text)
                letters[place] = touching[draws[place] % len(touching)]
        return text if letters is None else "".join(letters)
