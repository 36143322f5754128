"""LEAP: synonyms by a particle swarm with Lévy flights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine import wordnet


@dataclass(frozen=True)
class Leap(Attack):
    """Moves a swarm of texts towards the best found so far, by WordNet synonyms, in at most 16 % of the words."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "system"
    swaps_words: ClassVar[bool] = True
    recipe: ClassVar[str] = "LEAP2023"
    paper: ClassVar[str] = "Xiao et al. 2023, arXiv:2308.11284"
    equation: ClassVar[str] = """
        A swarm of 60 texts; per round each turns words towards its own best and the swarm's best text with
        probabilities from its velocity, whose inertia is drawn by a Lévy flight for particles above the mean, and
        mutates; at most 20 rounds, until the answer changes.
    """
    changes: ClassVar[str] = "Whole words, to one-word synonyms of any of their senses in WordNet 3.0."
    cost: ClassVar[str] = "Thousands of queries without a budget; nearly all rows repeat and are scored once."
    departures: ClassVar[str] = """
        The recipe of textattack, LEAP2023. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Synonyms are not of the sense or the form the sentence needs: few of the found texts keep their meaning
        (arXiv:2004.14174). Under a budget of some hundred queries the swarm hardly moves.
    """

    def missing(self) -> str | None:
        """Return how to get WordNet where it is not installed."""
        return wordnet.missing(self.name)

    def build(self, victim: Any) -> Any:
        """Return textattack's recipe on `victim`."""
        wordnet.provide()
        from textattack.attack_recipes import LEAP2023

        return LEAP2023.build(victim)
