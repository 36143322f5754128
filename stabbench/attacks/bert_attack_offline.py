"""BERT-Attack with a masked language model of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine.resources import ENCODER, missing_folder


@dataclass(frozen=True)
class BertAttackOffline(Attack):
    """Replaces words, the most important first, by what a language model would put there while it sees them."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    assets: ClassVar[tuple[str, ...]] = (ENCODER,)
    encoder: ClassVar[bool] = True
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Li et al. 2020, arXiv:2004.09984"
    equation: ClassVar[str] = """
        Order words by f_y(x with word i replaced by [UNK]), lowest first; at each try the 8 likeliest words,
        or all products of sub-words; at most 40 % of the words, while the text stays similar.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words; 8 to the power of its sub-words for each."
    departures: ClassVar[str] = """
        The language model is the one given in `masked_lm`; 8 candidates as in textattack's recipe, where the
        paper has 48. The local encoder all-MiniLM-L6-v2 stands in for the Universal Sentence Encoder, at a
        cosine of 0.85: it refuses only what changes a sentence more than nearly all swaps of a word for its
        antonym do. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Not comparable to published rates of BERT-Attack. Where the victim itself was fine-tuned from all-
        MiniLM-L6-v2, the encoder shares its blind spots: the row says so. textattack sorts the products of
        sub-words and drops the result, so they are tried unranked.
    """

    masked_lm: Annotated[str, Field(description="folder of a masked language model with its tokenizer")] = ""

    def missing(self) -> str | None:
        """Return how to name a masked language model where none is named."""
        return missing_folder(self.name, self.masked_lm)

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        from stabbench.attacks.engine.word_swaps import bert_attack

        return bert_attack(victim, self.masked_lm)
