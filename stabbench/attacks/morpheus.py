"""Morpheus: inflections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Morpheus(Attack):
    """Inflects words until a translation is as bad as can be."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "MorpheusTan2020"
    needs: ClassVar[tuple[str, ...]] = ("translation",)
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Tan et al. 2020, ACL 2020.acl-main.263"
    equation: ClassVar[str] = """
        Greedy: of all texts one inflection away, the one whose translation has the least BLEU.
    """
    changes: ClassVar[str] = "Inflections of nouns, verbs and adjectives."
    cost: ClassVar[str] = "A handful of queries for each word."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        It attacks models that translate, which no task here has.
    """
