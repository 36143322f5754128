"""BERT-Attack: words proposed by BERT without a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class BertAttack(Attack):
    """Replaces words, the most important first, by what BERT would put in their place while it sees them."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "BERTAttackLi2020"
    needs: ClassVar[tuple[str, ...]] = ("hub:bert-base-uncased", "universal-encoder")
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Li et al. 2020, arXiv:2004.09984"
    equation: ClassVar[str] = """
        Order words by f_y(x with word i replaced by [UNK]), lowest first; at each try the 8 likeliest words,
        or all products of sub-words, of bert-base-uncased; at most 40 % of the words, similarity at least
        0.2.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words; 8 to the power of its sub-words for each."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list. It keeps 8 candidates where the paper has
        48, since it forms all products of sub-words.
    """
    pitfalls: ClassVar[str] = """
        What fits the sentence need not keep its meaning. textattack sorts the products and drops the result,
        so they are tried unranked.
    """
