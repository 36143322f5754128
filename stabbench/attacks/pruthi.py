"""Pruthi: one typing error inside one word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Pruthi(Attack):
    """Tries every single typing error inside the longer words, and keeps the one that hurts most."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "Pruthi2019"
    paper: ClassVar[str] = "Pruthi et al. 2019, arXiv:1905.11268"
    equation: ClassVar[str] = """
        Of all texts that differ from x by one swap of neighbouring letters, one deletion, one insertion or one letter
        from a neighbouring key, inside one word of at least 4 letters that is no stopword, its first and last letter
        kept: the one with the least f_y.
    """
    changes: ClassVar[str] = "One letter, or two neighbouring ones, of one word."
    cost: ClassVar[str] = "All candidates at once: about 10 a letter, so some 300 to 600 queries for 10 long words."
    departures: ClassVar[str] = """
        The recipe of textattack, Pruthi2019, with the paper's budget of one edit. It inserts one random letter per
        place where the paper tries all. The stopwords are our list: NLTK's has to be downloaded.
    """
    pitfalls: ClassVar[str] = """
        A query budget below the number of candidates cuts them in the order of their text, so that late candidates are
        never tried: read it at a budget of 1,000 or more.
    """

    def build(self, victim: Any) -> Any:
        """Return textattack's recipe on `victim`."""
        from textattack.attack_recipes import Pruthi2019

        return Pruthi2019.build(victim)
