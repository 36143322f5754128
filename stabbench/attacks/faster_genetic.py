"""The faster genetic algorithm of Jia et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class FasterGenetic(Attack):
    """Breeds texts whose words are near in counter-fitted vectors and likely for a language model."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "FasterGeneticAlgorithmJia2019"
    needs: ClassVar[tuple[str, ...]] = ("counter-fitted", "learning-to-write")
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Jia et al. 2019, arXiv:1909.00986"
    equation: ClassVar[str] = """
        A population of 60 texts, at most 40 generations of crossover and mutation by the 8 nearest words with
        a squared distance of at most 0.5 whose log-likelihood falls by at most 5; at most 20 % of the words.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "Thousands of queries."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Swapped words need not keep the meaning of the sentence (arXiv:2004.14174). Under a budget of some
        hundred queries it hardly leaves its first generation.
    """
