"""Particle swarm optimisation, with synonyms from WordNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine import wordnet


@dataclass(frozen=True)
class PsoWordnet(Attack):
    """Moves a swarm of texts towards the best found so far, by WordNet synonyms."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "system"
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Zang et al. 2020, ACL 2020.acl-main.540"
    equation: ClassVar[str] = """
        A swarm of 60 texts; per round each turns words towards its own best and the swarm's best text with
        probability sigmoid(velocity), and mutates one word to its best synonym with a chance that falls with the
        words changed; at most 20 rounds, until the answer changes.
    """
    changes: ClassVar[str] = "Whole words, to one-word synonyms of any of their senses in WordNet 3.0."
    cost: ClassVar[str] = "Thousands of queries without a budget; nearly all rows repeat and are scored once."
    departures: ClassVar[str] = """
        textattack's PSOZang2020 with WordNet synonyms where the recipe takes HowNet's sememes, which have to be
        downloaded; hence the other name. The rule that spares a premise needs column names that texts here do not
        have; both sentences of a pair are attacked. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Synonyms are not of the sense or the form the sentence needs: few of the found texts keep their meaning
        (arXiv:2004.14174). Under a budget of some hundred queries the swarm hardly moves.
    """

    def missing(self) -> str | None:
        """Return how to get WordNet where it is not installed."""
        return wordnet.missing(self.name)

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        wordnet.provide()
        from textattack import Attack as Search
        from textattack.constraints.pre_transformation import RepeatModification, StopwordModification
        from textattack.goal_functions import UntargetedClassification
        from textattack.search_methods import ParticleSwarmOptimization
        from textattack.transformations import WordSwapWordNet

        search = ParticleSwarmOptimization(pop_size=60, max_iters=20)
        constraints = [RepeatModification(), StopwordModification()]
        return Search(UntargetedClassification(victim), constraints, WordSwapWordNet(), search)
