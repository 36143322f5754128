"""TextFooler: neighbours in counter-fitted word vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Textfooler(Attack):
    """Swaps words, the most important first, for neighbours in counter-fitted vectors of the same part of speech."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "TextFoolerJin2019"
    needs: ClassVar[tuple[str, ...]] = ("counter-fitted", "tagger", "universal-encoder")
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Jin et al. 2020, arXiv:1907.11932"
    equation: ClassVar[str] = """
        Order words by f_y(x without word i), lowest first; in that order try the 50 nearest words with a
        cosine of at least 0.5, the same part of speech and an angular similarity of at least 0.84 of the 15
        words around, until the answer changes.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words, and at most 50 for each."
    departures: ClassVar[str] = """
        textattack's recipe as it comes.
    """
    pitfalls: ClassVar[str] = """
        Swapped words need not keep the meaning of the sentence (arXiv:2004.14174). The encoder is not asked
        where a text has fewer than 15 words.
    """
