"""A particle swarm on HowNet's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Pso(Attack):
    """Moves a swarm of texts towards the best found so far, by words of one sememe in HowNet."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "PSOZang2020"
    needs: ClassVar[tuple[str, ...]] = ("hownet",)
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Zang et al. 2020, arXiv:1910.12196"
    equation: ClassVar[str] = """
        A swarm of 60 texts; per round each turns words towards its own best and the swarm's best text with
        probabilities from its velocity, and mutates; at most 20 rounds.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "Thousands of queries."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Swapped words need not keep the meaning of the sentence (arXiv:2004.14174). Under a budget of some
        hundred queries the swarm hardly moves.
    """
