"""Words that sound alike, as in dictated text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import WordEdits, cased_like

_GROUPS = (
    "aisle isle",
    "ate eight",
    "bare bear",
    "be bee",
    "blew blue",
    "board bored",
    "brake break",
    "by buy bye",
    "cell sell",
    "cent scent sent",
    "cite sight site",
    "dear deer",
    "die dye",
    "fair fare",
    "feat feet",
    "flour flower",
    "for four",
    "great grate",
    "hear here",
    "hole whole",
    "hour our",
    "its it's",
    "knew new",
    "know no",
    "made maid",
    "mail male",
    "meat meet",
    "one won",
    "pair pear",
    "peace piece",
    "plain plane",
    "principal principle",
    "rain reign",
    "read red",
    "right write",
    "role roll",
    "scene seen",
    "sea see",
    "some sum",
    "son sun",
    "steal steel",
    "tail tale",
    "their there they're",
    "to too two",
    "weak week",
    "your you're",
)
HOMOPHONES: dict[str, tuple[str, ...]] = {
    word: tuple(other for other in group.split() if other != word) for group in _GROUPS for word in group.split()
}


@dataclass(frozen=True)
class Homophone(WordEdits):
    """Replaces words by words that sound the same."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Moradi and Samwald 2021, arXiv:2108.12237; Eger and Benz 2020, arXiv:2010.05648 (phonetic attacks)
    """
    equation: ClassVar[str] = """
        Each word of the table becomes another word of its sound where its draw u ~ U[0, 1) is below r, chosen by low
        digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = """
        English words of 46 groups of one sound; case is kept.
    """
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = """
        Sound decides, not the likelihood that a recogniser errs.
    """
    pitfalls: ClassVar[str] = """
        Another word is another meaning: “no” and “know” can turn a sentence round for a reader who does not hear it.
    """

    def replacement(self, word: str, draw: int) -> str | None:
        """Return another word of the same sound."""
        alike = HOMOPHONES.get(word.lower())
        return cased_like(alike[draw % len(alike)], word) if alike else None
