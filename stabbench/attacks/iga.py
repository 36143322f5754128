"""The improved genetic algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Iga(Attack):
    """Breeds texts by cutting two parents at one place, and mutates them by near words in counter-fitted vectors."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "IGAWang2019"
    needs: ClassVar[tuple[str, ...]] = ("counter-fitted",)
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Wang et al. 2019, arXiv:1909.06723"
    equation: ClassVar[str] = """
        A population of 60 texts, at most 20 generations; a child is two parents cut at one place and joined,
        with one word swapped for the best of its 50 nearest with a squared distance of at most 0.5; at most
        20 % of the words.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "Hundreds to thousands of queries."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Swapped words need not keep the meaning of the sentence (arXiv:2004.14174). Its softmax favours the
        texts with the lower score.
    """
