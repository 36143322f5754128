"""Words replaced by synonyms."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import ClassVar

from stabbench.assets import wordnet
from stabbench.errors import StabbenchError
from stabbench.perturbations._places import WordEdits, cased_like
from stabbench.perturbations._wordnet import synonyms

# Words that carry grammar: WordNet knows some of them as rare nouns ("a" and "it" among them).
FUNCTION_WORDS = frozenset((
    "a", "about", "above", "after", "again", "against", "all", "also", "am", "an", "and", "any", "are", "as", "at",
    "be", "because", "been", "before", "being", "below", "between", "both", "but", "by", "can", "could", "did", "do",
    "does", "doing", "down", "during", "each", "even", "few", "for", "from", "further", "had", "has", "have",
    "having", "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just",
    "less", "like", "many", "may", "me", "might", "mine", "more", "most", "much", "must", "my", "neither", "no",
    "nor", "not", "now", "of", "off", "on", "once", "one", "only", "or", "other", "our", "ours", "out", "over", "own",
    "per", "same", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them", "then", "there",
    "these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "upon", "us", "very", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "whom", "whose", "why", "will", "with", "would",
    "yet", "you", "your", "yours",
))  # fmt: skip


@dataclass(frozen=True)
class Synonym(WordEdits):
    """Replaces words by WordNet synonyms of their commonest sense."""

    version: ClassVar[int] = 1
    paper: ClassVar[str] = """
        Miller 1995, doi:10.1145/219717.219748 (WordNet); Liang et al. 2022, arXiv:2211.09110 (synonym perturbation)
    """
    equation: ClassVar[str] = """
        Each word that is a lemma and no function word is replaced where its draw u ~ U[0, 1) is below r, by one of the
        other single words of its first synset, chosen by low digits of u. Edits at rate r are edits at every higher
        rate.
    """
    changes: ClassVar[str] = "English words in their base form; case is kept."
    cost: ClassVar[str] = "A look-up in WordNet's files for each new word, then a memory of 65,536 words; no model."
    departures: ClassVar[str] = """
        The part of speech is the word's commonest one, not the sentence's; only the first synset is used, to keep the
        meaning.
    """
    pitfalls: ClassVar[str] = """
        Needs WordNet 3.0 (Debian's wordnet-base, or NLTK's data unpacked). Without the sentence's sense some synonyms
        are wrong ("film" of a camera), so a lost answer need not be a fault. The no-op share is high: most words are
        inflected or have no synonym.
    """
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.1, 0.2, 0.3, 0.5, 0.8)
    sample: ClassVar[str] = (
        "A wonderful film with a boring story, a funny car and an awful, quick and excellent finish."
    )

    def missing(self) -> str | None:
        """Return how to get WordNet where its files are not on this machine."""
        if _database(os.environ.get("WNSEARCHDIR"), os.environ.get("NLTK_DATA")) is not None:
            return None
        packed = "synonym reads WordNet's files: unpack corpora/wordnet.zip in NLTK's data folder"
        return wordnet.missing("synonym") or packed

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of the words it knows replaced.

        Raises:
            StabbenchError: WordNet is not on this machine.
        """
        if (reason := self.missing()) is not None:
            raise StabbenchError(reason)
        return super().edit(text, rate, rng)

    def replacement(self, word: str, draw: int) -> str | None:
        """Return a synonym in the word's case, or None where there is none."""
        lower = word.lower()
        folder = _database(os.environ.get("WNSEARCHDIR"), os.environ.get("NLTK_DATA"))
        if folder is None or lower in FUNCTION_WORDS or not lower.isascii():
            return None
        found = synonyms(folder, lower)
        return cased_like(found[draw % len(found)], word) if found else None


@cache
def _database(wnsearchdir: str | None, nltk_data: str | None) -> Path | None:
    """Return the folder of WordNet's files; looked for once as long as these variables stay."""
    return wordnet.files()
