"""The invariance tests of CheckList that need no tagger: contractions and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class ChecklistWithoutNames(Attack):
    """Contracts and expands verb forms and changes numbers, one after the other, until the answer changes."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    paper: ClassVar[str] = "Ribeiro et al. 2020, arXiv:2005.04118 (CheckList, invariance tests)"
    equation: ClassVar[str] = """
        Greedy: of all texts one contraction (``it is`` → ``it's``), one expansion or one other number away from the
        present one, the one with the least f_y; no word twice; until the answer changes or nothing is left.
    """
    changes: ClassVar[str] = "Verb forms, and numbers in digits or words, to others of the same order of magnitude."
    cost: ClassVar[str] = "A handful of queries: most texts hold no such place at all."
    departures: ClassVar[str] = """
        textattack's CheckList2020 without its swaps of person and place names, which need a named-entity tagger of
        432 MB [size unverified] that has to be downloaded; hence the other name.
    """
    pitfalls: ClassVar[str] = """
        A text without contraction or number cannot be attacked and counts as one that resisted. Another number can
        change what is meant. textattack contracts only where the words before are untouched, and it raises on
        superscript digits; such texts are error rows.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack on `victim`, put together from textattack's parts."""
        from textattack import Attack as Search
        from textattack.constraints.pre_transformation import RepeatModification
        from textattack.goal_functions import UntargetedClassification
        from textattack.search_methods import GreedySearch
        from textattack.transformations import (
            CompositeTransformation,
            WordSwapChangeNumber,
            WordSwapContract,
            WordSwapExtend,
        )

        edits = CompositeTransformation([WordSwapExtend(), WordSwapContract(), WordSwapChangeNumber()])
        return Search(UntargetedClassification(victim), [RepeatModification()], edits, GreedySearch())
