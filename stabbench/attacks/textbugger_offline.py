"""TextBugger without downloads: misspellings and neighbours in GloVe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier
from stabbench.attacks.engine.resources import ENCODER, GLOVE


@dataclass(frozen=True)
class TextbuggerOffline(Attack):
    """Tries four misspellings and five near words at each word, the most important first."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    assets: ClassVar[tuple[str, ...]] = (GLOVE, ENCODER)
    encoder: ClassVar[bool] = True
    swaps_words: ClassVar[bool] = False
    paper: ClassVar[str] = "Li et al. 2019, arXiv:1812.05271"
    equation: ClassVar[str] = """
        Order words by f_y(x without word i), lowest first; at each try a space in it, a letter less, two
        letters swapped, a letter of another script that looks the same, and the 5 nearest words in GloVe;
        keep what lowers f_y most while the text stays similar. No word twice, no stopword.
    """
    changes: ClassVar[str] = "Letters inside words, and whole words."
    cost: ClassVar[str] = "w queries to rank w words, and about 8 + the word's letters for each."
    departures: ClassVar[str] = """
        GloVe 6B with 50 dimensions, its 60,000 commonest words; our list of look-alike letters, since
        textattack 0.3.11 leaves its own out of the wheel. The local encoder all-MiniLM-L6-v2 stands in for
        the Universal Sentence Encoder, at a cosine of 0.85: it refuses only what changes a sentence more than
        nearly all swaps of a word for its antonym do. The stopwords are our list.
    """
    pitfalls: ClassVar[str] = """
        Not comparable to published rates of TextBugger. Where the victim itself was fine-tuned from all-
        MiniLM-L6-v2, the encoder shares its blind spots: the row says so.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack, put together from textattack's parts, on `victim`."""
        from stabbench.attacks.engine.word_swaps import textbugger

        return textbugger(victim)
