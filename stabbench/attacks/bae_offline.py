"""BAE with a masked language model of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine.resources import ENCODER, missing_folder


@dataclass(frozen=True)
class BaeOffline(Attack):
    """Masks words, the most important first, and takes what a masked language model puts there."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    assets: ClassVar[tuple[str, ...]] = (ENCODER,)
    encoder: ClassVar[bool] = True
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Garg and Ramakrishnan 2020, arXiv:2004.01970 (BAE-R)"
    equation: ClassVar[str] = """
        Order words by f_y(x without word i), lowest first; at each try the 50 likeliest words that share a
        part of speech and keep the 15 words around similar, until the answer changes.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words, at most 50 for each, and one pass of the language model for each."
    departures: ClassVar[str] = """
        The language model is the one given in `masked_lm`. Parts of speech are lemminflect's. The local
        encoder all-MiniLM-L6-v2 stands in for the Universal Sentence Encoder, at a cosine of 0.994, which at
        most one swap of a word for its antonym in twenty reaches; it is asked for short texts too. The
        stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Not comparable to published rates of BAE. Where the victim itself was fine-tuned from all-
        MiniLM-L6-v2, the encoder shares its blind spots: the row says so. What fits the sentence need not
        keep its meaning: good and bad fit alike.
    """

    masked_lm: Annotated[str, Field(description="folder of a masked language model with its tokenizer")] = ""

    def missing(self) -> str | None:
        """Return how to name a masked language model where none is named."""
        return missing_folder(self.name, self.masked_lm)

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        from stabbench.attacks.engine.word_swaps import bae

        return bae(victim, self.masked_lm)
