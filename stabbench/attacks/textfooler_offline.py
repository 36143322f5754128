"""TextFooler without downloads: neighbours in GloVe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine.resources import ENCODER, GLOVE


@dataclass(frozen=True)
class TextfoolerOffline(Attack):
    """Swaps words, the most important first, for neighbours in GloVe that can be of the same part of speech."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    assets: ClassVar[tuple[str, ...]] = (GLOVE, ENCODER)
    encoder: ClassVar[bool] = True
    swaps_words: ClassVar[bool] = True
    paper: ClassVar[str] = "Jin et al. 2020, arXiv:1907.11932"
    equation: ClassVar[str] = """
        Order words by f_y(x without word i), lowest first; in that order try the 50 nearest words with a
        cosine of at least 0.7 that share a part of speech and keep the 15 words around similar, until the
        answer changes. No word twice, no stopword.
    """
    changes: ClassVar[str] = "Whole words."
    cost: ClassVar[str] = "w queries to rank w words and at most 50 for each; the encoder reads every candidate."
    departures: ClassVar[str] = """
        GloVe 6B, 50 dimensions, its 60,000 commonest words, where TextFooler has vectors counter-fitted to put antonyms
        apart: the encoder has to. The cosine is the paper's, since GloVe's run higher; textattack has 0.5. Parts of
        speech are lemminflect's: a word is allowed that can be of one the other can be of. The local encoder
        all-MiniLM-L6-v2 stands in for the Universal Sentence Encoder, at a cosine of 0.994, which at most one swap of a
        word for its antonym in twenty reaches; it is asked for short texts too. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Not comparable to published rates of TextFooler. Where the victim itself was fine-tuned from all-
        MiniLM-L6-v2, the encoder shares its blind spots: the row says so. Neighbours in GloVe stand in like
        places, not for like things: read the found texts.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        from stabbench.attacks.engine.word_swaps import textfooler

        return textfooler(victim)
