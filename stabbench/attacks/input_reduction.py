"""Input reduction: how few words a model needs to give the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Goal, Tier


@dataclass(frozen=True)
class InputReduction(Attack):
    """Removes the word that matters least, again and again, as long as the answer stays."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "InputReductionFeng2018"
    goal: ClassVar[Goal] = "keep"
    paper: ClassVar[str] = "Feng et al. 2018, arXiv:1804.07781"
    equation: ClassVar[str] = """
        x ← x without word i*, i* = argmax_i f_y(x without word i) over the i whose removal keeps the answer y; until
        one word is left, or no removal keeps the answer.
    """
    changes: ClassVar[str] = "Removes words; order and form of the others stay."
    cost: ClassVar[str] = "At most w(w+1)/2 queries for w words."
    departures: ClassVar[str] = """
        Greedy, where the paper keeps a beam of 5; words are ranked by leaving each out, as its definition says, where
        its experiments take the gradient. Not textattack's recipe, InputReductionFeng2018: that ranks the words once,
        and after the first removal its positions point at other words.
    """
    pitfalls: ClassVar[str] = """
        Judged by words_left, not by a success rate: one word can be the right evidence (``awful``). A model that
        predicts one class keeps its answer on any word: read it beside majority_share. A budget that runs out leaves
        more words.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack on `victim`."""
        from stabbench.attacks.engine.reduction import reduction

        return reduction(victim)
