"""PWWS: synonyms, weighted by how much a word matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine import wordnet


@dataclass(frozen=True)
class Pwws(Attack):
    """Swaps words for WordNet synonyms, in the order of what each swap gains times how much the word matters."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "system"
    swaps_words: ClassVar[bool] = True
    recipe: ClassVar[str] = "PWWSRen2019"
    paper: ClassVar[str] = "Ren et al. 2019, ACL P19-1103"
    equation: ClassVar[str] = """
        Order words by softmax(S)_i · max_c f-loss(x with word i → synonym c), S_i = 1 − f_y(x with word i replaced by
        [UNK]), largest first; in that order make the best swap of each word that is no stopword, until the answer
        changes.
    """
    changes: ClassVar[str] = "Whole words, to one-word synonyms of any of their senses in WordNet 3.0."
    cost: ClassVar[str] = "w queries to rank w words, and twice their synonyms at most: about 100 to 400."
    departures: ClassVar[str] = """
        The recipe of textattack, PWWSRen2019, without the paper's swap of named entities. It weighs by 1 − f_y after
        the swap where the paper has the difference to f_y(x). The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Synonyms are not of the sense or the form the sentence needs: few of the found texts keep their meaning
        (arXiv:2004.14174). A small budget ends in the ranking, before any swap is made.
    """

    def missing(self) -> str | None:
        """Return how to get WordNet where it is not installed."""
        return wordnet.missing(self.name)

    def build(self, victim: Any) -> Any:
        """Return textattack's recipe on `victim`."""
        wordnet.provide()
        from textattack.attack_recipes import PWWSRen2019

        return PWWSRen2019.build(victim)
