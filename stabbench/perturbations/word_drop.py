"""Missing words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

_PIECES = re.compile(r"\S+\s*")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class WordDrop(Perturbation):
    """Leaves words out; one word always stays."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.05, 0.10, 0.15, 0.25, 0.40)
    places: ClassVar[str] = "word"
    paper: ClassVar[str] = (
        "Wei and Zou 2019, arXiv:1901.11196 (random deletion); Moradi and Samwald 2021, arXiv:2108.12237"
    )
    equation: ClassVar[str] = """
        Each word has one draw u ~ U[0, 1) and is left out, with the space behind it, where u < r; the word with the
        largest draw stays. A word is a stretch without spaces that holds a letter or a digit.
    """
    changes: ClassVar[str] = "Words and the space behind them; stretches of punctuation alone stay."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = "Stretches of punctuation are not words; the rate is a severity instead of 0.1."
    pitfalls: ClassVar[str] = """
        From severity 4 on the label may no longer hold: a dropped “not” turns a sentence round. Read these severities
        as loss of information, not as robustness.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` without a share `rate` of its words."""
        pieces = _PIECES.findall(text)
        draws, limit = uniform(rng, len(pieces), rate)
        dropped = {i for i, u in enumerate(draws) if u < limit and _LETTER_OR_DIGIT.search(pieces[i])}
        if not any(i not in dropped and _LETTER_OR_DIGIT.search(piece) for i, piece in enumerate(pieces)):
            dropped -= {max(sorted(dropped), key=draws.__getitem__, default=0)}
        if not dropped:
            return text
        kept = "".join([piece for i, piece in enumerate(pieces) if i not in dropped])
        before = text[: len(text) - sum(map(len, pieces))]
        return before + (kept.rstrip() if len(pieces) - 1 in dropped else kept)
