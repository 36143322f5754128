"""DeepWordBug: character edits in the words that matter most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Deepwordbug(Attack):
    """Ranks words by the loss of confidence without them, then misspells them one by one until the answer changes."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "DeepWordBugGao2018"
    paper: ClassVar[str] = "Gao et al. 2018, arXiv:1801.04354"
    equation: ClassVar[str] = """
        Order words by f_y(x with word i replaced by [UNK]), lowest first; in that order try one swap, one substitution,
        one deletion and one insertion of a letter at a random place of the word, and keep the candidate that lowers
        f_y most. No stopword and no word twice is edited; at most 30 character edits in all.
    """
    changes: ClassVar[str] = "Letters inside words."
    cost: ClassVar[str] = "1 + w queries to rank w words, then at most 4 for each of them."
    departures: ClassVar[str] = """
        The recipe of textattack, DeepWordBugGao2018, which ranks by replacing a word with [UNK] where the paper scores
        what stands before and behind it. The stopwords are our list: NLTK's has to be downloaded.
    """
    pitfalls: ClassVar[str] = """
        A model that predicts one class is never fooled: read the rates beside majority_share. Misspelt words need not
        be readable. Rates of published studies rest on other stopwords, texts and budgets.
    """

    def build(self, victim: Any) -> Any:
        """Return textattack's recipe on `victim`."""
        from textattack.attack_recipes import DeepWordBugGao2018

        return DeepWordBugGao2018.build(victim)
