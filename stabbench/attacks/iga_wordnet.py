"""The improved genetic algorithm, with synonyms from WordNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine import wordnet


@dataclass(frozen=True)
class IgaWordnet(Attack):
    """Breeds texts by cutting two parents at one place, and mutates them by WordNet synonyms."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "system"
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Wang et al. 2019, arXiv:1909.06723"
    equation: ClassVar[str] = """
        A population of at most 60 texts, each with one word swapped for its best synonym; per generation parents are
        drawn by a softmax of their scores, cut at one place and joined, and one word of the child is swapped for its
        best synonym; at most 20 generations, until the answer changes. A word is swapped at most 5 times, at most 20
        % of the words in all.
    """
    changes: ClassVar[str] = "Whole words, to one-word synonyms of any of their senses in WordNet 3.0."
    cost: ClassVar[str] = "Hundreds to thousands of queries."
    departures: ClassVar[str] = """
        textattack's IGAWang2019 with WordNet synonyms where the recipe takes neighbours in counter-fitted word
        vectors, which have to be downloaded, and so without its bound on their distance; hence the other name. Its
        softmax favours the texts with the lower score: kept as it is. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Synonyms are not of the sense or the form the sentence needs: few of the found texts keep their meaning
        (arXiv:2004.14174). Under a budget of some hundred queries it hardly leaves its first generation.
    """

    def missing(self) -> str | None:
        """Return how to get WordNet where it is not installed."""
        return wordnet.missing(self.name)

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        wordnet.provide()
        from textattack import Attack as Search
        from textattack.constraints.overlap import MaxWordsPerturbed
        from textattack.constraints.pre_transformation import StopwordModification
        from textattack.goal_functions import UntargetedClassification
        from textattack.search_methods import ImprovedGeneticAlgorithm
        from textattack.transformations import WordSwapWordNet

        search = ImprovedGeneticAlgorithm(
            pop_size=60, max_iters=20, max_replace_times_per_index=5, post_crossover_check=False
        )
        constraints = [StopwordModification(), MaxWordsPerturbed(max_percent=0.2)]
        return Search(UntargetedClassification(victim), constraints, WordSwapWordNet(), search)
