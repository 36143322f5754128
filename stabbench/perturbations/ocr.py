"""Errors of optical character recognition: shapes that a scanner confuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits

CONFUSIONS: dict[str, tuple[str, ...]] = {
    "a": ("o", "e"), "b": ("6", "h"), "c": ("e", "o"), "d": ("cl",), "e": ("c", "o"), "f": ("t",), "g": ("9", "q"),
    "h": ("b", "li"), "i": ("1", "l", "j"), "j": ("i",), "l": ("1", "I", "i"), "m": ("rn", "nn"), "n": ("ri", "u"),
    "o": ("0", "c"), "q": ("g",), "r": ("t",), "s": ("5",), "t": ("f", "l"), "u": ("n", "ii"), "v": ("y",),
    "w": ("vv",), "y": ("v",), "z": ("2",), "B": ("8", "3"), "D": ("O", "0"), "G": ("6", "C"), "I": ("1", "l"),
    "O": ("0", "Q"), "S": ("5", "8"), "Z": ("2",), "0": ("O", "o"), "1": ("l", "I"), "2": ("Z",), "5": ("S", "s"),
    "6": ("b", "G"), "8": ("B",), "9": ("g",),
}  # fmt: skip


@dataclass(frozen=True)
class Ocr(CharacterEdits):
    """Replaces characters by ones that a scanner takes for them."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Ma 2019, nlpaug (OCR augmenter, the idea of a confusion table); Moradi and Samwald 2021, arXiv:2108.12237
    """
    equation: ClassVar[str] = """
        Each character in the table becomes one of its confusions where its draw u ~ U[0, 1) is below r, chosen by low
        digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        Latin letters and digits that resemble another character or pair of them, such as o and 0, l and 1, m and rn.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        An own table of 30 shapes; confusions are equally likely, which a real scanner's are not.
    """
    pitfalls: ClassVar[str] = """
        Digits change too: a text whose label depends on a number can change its meaning.
    """

    def replacement(self, character: str, draw: int) -> str | None:
        """Return what a scanner might have read."""
        shapes = CONFUSIONS.get(character)
        return shapes[draw % len(shapes)] if shapes else None
