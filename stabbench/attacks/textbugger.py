"""TextBugger: misspellings and near words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Textbugger(Attack):
    """Tries four misspellings and five near words at each word, the most important first."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "TextBuggerLi2018"
    needs: ClassVar[tuple[str, ...]] = ("counter-fitted", "universal-encoder", "homoglyphs")
    paper: ClassVar[str] = "Li et al. 2019, arXiv:1812.05271"
    equation: ClassVar[str] = """
        Order words by f_y(x without word i), lowest first; at each try a space in it, a letter less, two
        letters swapped, letters that look alike, and its 5 nearest words; keep what lowers f_y most while the
        sentence's similarity is at least 0.8.
    """
    changes: ClassVar[str] = "Letters inside words, and whole words."
    cost: ClassVar[str] = "w queries to rank w words, and about 5 + the word's letters for each."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        It cannot run with textattack 0.3.11, whose wheel lacks a file that it reads: use textbugger-offline.
    """
