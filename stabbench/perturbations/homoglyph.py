"""Characters that look alike and are not the same."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from stabbench.perturbations._draws import uniform
from stabbench.perturbations.base import Perturbation

# Latin letter → a letter of another script that most typefaces draw alike: Cyrillic, Greek, Armenian, script g.
LOOKALIKES: dict[str, str] = {
    "a": "\u0430", "c": "\u0441", "d": "\u0501", "e": "\u0435", "g": "\u0261", "h": "\u04bb", "i": "\u0456",
    "j": "\u0458", "l": "\u04cf", "n": "\u0578", "o": "\u043e", "p": "\u0440", "q": "\u051b", "s": "\u0455",
    "u": "\u057d", "v": "\u0475", "w": "\u051d", "x": "\u0445", "y": "\u0443",
    "A": "\u0410", "B": "\u0412", "C": "\u0421", "E": "\u0415", "H": "\u041d", "I": "\u0406", "J": "\u0408",
    "K": "\u039a", "M": "\u041c", "N": "\u039d", "O": "\u041e", "P": "\u0420", "Q": "\u051a", "S": "\u0405",
    "T": "\u0422", "V": "\u0474", "W": "\u051c", "X": "\u0425", "Y": "\u03a5", "Z": "\u0396",
}  # fmt: skip


@dataclass(frozen=True)
class Homoglyph(Perturbation):
    """Replaces Latin letters by letters of other scripts that look the same."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.01, 0.03, 0.05, 0.10, 0.20)
    places: ClassVar[str] = "letter"
    paper: ClassVar[str] = "Boucher et al. 2022, arXiv:2106.09898 (imperceptible perturbations)"
    equation: ClassVar[str] = """
        Each letter that has a look-alike becomes it where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at
        every higher rate.
    """
    changes: ClassVar[str] = "39 Latin letters; length and everything else stay."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = (
        "Random places and one look-alike per letter, instead of a search by differential evolution."
    )
    pitfalls: ClassVar[str] = """
        What a reader cannot see a tokenizer always does: the word falls into pieces or becomes unknown. A tokenizer
        that normalises look-alikes away makes every edit a no-op.
    """

    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its letters replaced by look-alikes."""
        draws, limit = uniform(rng, len(text), rate)
        letters: list[str] | None = None
        for place in [i for i, u in enumerate(draws) if u < limit]:
            lookalike = LOOKALIKES.get(text[place])
            if lookalike:
                letters = letters or list(text)
                letters[place] = lookalike
        return text if letters is None else "".join(letters)
