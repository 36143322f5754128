"""Seq2Sick without gradients: no word of the output stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Seq2sick(Attack):
    """Swaps near words until no word of what the model writes is left."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "Seq2SickCheng2018BlackBox"
    needs: ClassVar[tuple[str, ...]] = ("translation", "counter-fitted")
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Cheng et al. 2020, arXiv:1803.01128"
    equation: ClassVar[str] = """
        Order words by the overlap of the outputs with and without them; in that order try the 50 nearest
        words within an edit distance of 30, until the outputs do not overlap.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words, and at most 50 for each."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        It attacks models that write text, which no task here has.
    """
