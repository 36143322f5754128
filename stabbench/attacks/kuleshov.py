"""Synonyms under thought vectors and a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Kuleshov(Attack):
    """Swaps the word that helps most for a near word, while sentence and likelihood stay alike."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "Kuleshov2017"
    needs: ClassVar[tuple[str, ...]] = ("counter-fitted", "thought-vectors", "hub:gpt2")
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Kuleshov et al. 2018, OpenReview r1QZ3zbAZ"
    equation: ClassVar[str] = """
        Greedy: of all texts one of the 15 nearest words away, the one with the least f_y, while the sentence
        vector moves by at most 0.2 and GPT-2's log-likelihood falls by at most 2; until f_y ≤ 0.3; at most
        half of the words.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "All swaps of the whole text are asked at every step: thousands of queries."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        It searches on past the first changed answer, to a score of 0.7.
    """
