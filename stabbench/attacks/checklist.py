"""CheckList's invariance tests, with names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Checklist(Attack):
    """Contracts and expands verb forms and changes numbers and names until the answer changes."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "CheckList2020"
    needs: ClassVar[tuple[str, ...]] = ("names",)
    paper: ClassVar[str] = "Ribeiro et al. 2020, arXiv:2005.04118 (CheckList, invariance tests)"
    equation: ClassVar[str] = """
        Greedy: of all texts one contraction, expansion, other number, other person or other place away, the
        one with the least f_y; no word twice.
    """
    changes: ClassVar[str] = "Verb forms, numbers, names of persons and places."
    cost: ClassVar[str] = "A handful of queries: most texts hold few such places."
    departures: ClassVar[str] = """
        textattack's recipe as it comes; the stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        It needs a tagger of names that the attack process leaves out: use checklist-without-names.
    """
