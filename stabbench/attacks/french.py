"""Synonyms and names in French."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class French(Attack):
    """Swaps words for synonyms of the French WordNet, and names."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "FrenchRecipe"
    needs: ClassVar[tuple[str, ...]] = ("multilingual-wordnet", "names")
    paper: ClassVar[str] = "textattack's own (Morris et al. 2020, arXiv:2005.05909)"
    equation: ClassVar[str] = """
        Order words by f_y(x with word i replaced by [UNK]), lowest first; in that order try synonyms and
        other names, until the answer changes.
    """
    changes: ClassVar[str] = "Whole words, names of persons and places."
    cost: ClassVar[str] = "w queries to rank w words, and their synonyms."
    departures: ClassVar[str] = """
        textattack's recipe as it comes.
    """
    pitfalls: ClassVar[str] = """
        It needs a tagger of names that the attack process leaves out.
    """
