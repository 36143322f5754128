"""CLARE: words replaced, inserted and merged by a masked language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Clare(Attack):
    """Replaces, inserts and merges words by a masked language model, the best edit of all first."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "CLARE2020"
    needs: ClassVar[tuple[str, ...]] = ("hub:distilroberta-base", "universal-encoder", "word-tagger")
    paper: ClassVar[str] = "Li et al. 2021, arXiv:2009.07502"
    equation: ClassVar[str] = """
        Of all texts one replacement, insertion or merging away, proposed by distilroberta-base, take the one
        with the least f_y that keeps the similarity of the 15 words around at 0.7; again until the answer
        changes.
    """
    changes: ClassVar[str] = "Words, their number included."
    cost: ClassVar[str] = "All edits of the whole text are asked at every step: thousands of queries."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        It ends in the first steps of a small budget. An inserted word can be the reason for another answer.
    """
