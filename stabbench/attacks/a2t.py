"""A2T: near words by gradient, as used in adversarial training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class A2t(Attack):
    """Swaps words, those with the largest gradient first, for near words; made to be cheap enough for training."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "A2TYoo2021"
    needs: ClassVar[tuple[str, ...]] = (
        "counter-fitted",
        "tagger",
        "sentence-transformers",
        "hub:sentence-transformers/stsb-distilbert-base",
    )
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Yoo and Qi 2021, arXiv:2109.00544"
    equation: ClassVar[str] = """
        Order words by ‖∂L/∂e_i‖₁, largest first; at each try the 20 nearest words with a cosine of at least
        0.8 and the same part of speech; at most 10 % of the words, similarity of the whole at least 0.9.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "One backward pass, and at most 20 queries for each word."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        textattack takes the gradient with dropout on, so that the order of the words is drawn. Not for
        subjects without gradients.
    """
