"""Bad characters: letters typed and deleted again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class BadCharactersDeletions(Attack):
    """Types up to three letters twice, each time with a backspace after it."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "BadCharacters2021"
    paper: ClassVar[str] = "Boucher et al. 2022, arXiv:2106.09898 (imperceptible perturbations)"
    equation: ClassVar[str] = """
        min f_y(x with edits at p_1 … p_m) over places p by differential evolution (best1bin, population 32, at most 10
        generations), m = 3; until the answer changes. The edit: a letter, the
        same letter again, a backspace.
    """
    changes: ClassVar[str] = "Up to three letters are doubled; a screen that obeys backspaces shows the text as before."
    cost: ClassVar[str] = "About 30 queries a generation, at most 330; each generation is one batch."
    departures: ClassVar[str] = """
        Untargeted, where textattack's BadCharacters2021 has targeted goals only. A generation is scored at once and
        replaces the one before (the paper's implementation updates one by one and polishes at the end). The
        letter is the one before it, where the paper searches over all printable characters.
    """
    pitfalls: ClassVar[str] = """
        Few programs still obey a backspace in a text: most show a box, or the doubled letter. The tokenizer of uncased
        BERT drops the backspace and reads the doubled letter.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack on `victim`."""
        from stabbench.attacks.engine.imperceptible import Deletions, bad_characters

        return bad_characters(victim, Deletions(), edits=3)
