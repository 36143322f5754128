"""Texts that end too early."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

_PIECES = re.compile(r"\s*\S+")
_WHOLE = 2**32


@dataclass(frozen=True)
class Truncation(Perturbation):
    """Leaves out words at the end; one word always stays."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.1, 0.2, 0.35, 0.5, 0.7)
    places: ClassVar[str] = "word"
    paper: ClassVar[str] = "Wang et al. 2021, TextFlint, arXiv:2103.11441 (completeness of the input)"
    equation: ClassVar[str] = """
        Of n words the last ⌊r·n + u⌋ go, with one draw u ~ U[0, 1) for all severities, so that the mean share is r and
        a higher rate never keeps more.
    """
    changes: ClassVar[str] = "The end of the text."
    cost: ClassVar[str] = "About 5 µs a sentence; no model."
    departures: ClassVar[str] = "Words, not tokens."
    pitfalls: ClassVar[str] = """
        The words that carry the label may be gone: read it as loss of information, not as robustness.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` without a share `rate` of its words, from the end."""
        pieces = _PIECES.findall(text)
        draws, _ = uniform(rng, 1, rate)
        gone = min(int(rate * len(pieces) + draws[0] / _WHOLE), len(pieces) - 1)
        return text if gone <= 0 else "".join(pieces[: len(pieces) - gone])
