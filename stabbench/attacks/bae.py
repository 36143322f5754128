"""BAE: words proposed by a masked language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Bae(Attack):
    """Masks words, the most important first, and takes what a masked language model puts there."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "BAEGarg2019"
    needs: ClassVar[tuple[str, ...]] = ("hub:bert-base-uncased", "tagger", "universal-encoder")
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Garg and Ramakrishnan 2020, arXiv:2004.01970 (BAE-R)"
    equation: ClassVar[str] = """
        Order words by f_y(x without word i), lowest first; at each try the 50 likeliest words of bert-base-
        uncased that are of the same part of speech and keep the similarity of the 15 words around at 0.936 or
        more.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words, at most 50 for each, and one pass of the language model for each."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        What fits the sentence need not keep its meaning: good and bad fit alike.
    """
