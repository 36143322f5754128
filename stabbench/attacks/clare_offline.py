"""CLARE with a masked language model of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine.resources import ENCODER, missing_folder


@dataclass(frozen=True)
class ClareOffline(Attack):
    """Replaces and inserts words by a masked language model, the best edit of all first."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    assets: ClassVar[tuple[str, ...]] = (ENCODER,)
    encoder: ClassVar[bool] = True
    swaps_words: ClassVar[bool] = False
    paper: ClassVar[str] = "Li et al. 2021, arXiv:2009.07502"
    equation: ClassVar[str] = """
        Of all texts one replacement or insertion away take the one with the least f_y that keeps the
        15 words around similar; again until the answer changes.
    """
    changes: ClassVar[str] = "Words, their number included."
    cost: ClassVar[str] = "All edits of the whole text are asked at every step: thousands of queries."
    departures: ClassVar[str] = """
        Words are not merged: that needs a tagger to download. The language model is that of `masked_lm`. The local
        encoder all-MiniLM-L6-v2 stands in for
        the Universal Sentence Encoder, at a cosine of 0.83: it refuses only what changes a sentence more than
        nearly all swaps of a word for its antonym do. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Not comparable to published rates of CLARE. Where the victim itself was fine-tuned from all-
        MiniLM-L6-v2, the encoder shares its blind spots: the row says so. It ends in the first steps of a
        small budget.
    """

    masked_lm: Annotated[str, Field(description="folder of a masked language model with its tokenizer")] = ""

    def missing(self) -> str | None:
        """Return how to name a masked language model where none is named."""
        return missing_folder(self.name, self.masked_lm)

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        from stabbench.attacks.engine.word_swaps import clare

        return clare(victim, self.masked_lm)
