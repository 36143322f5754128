"""Bad characters: letters stored in another order than shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class BadCharactersReorderings(Attack):
    """Stores up to three pairs of letters in reverse, wrapped so that a screen shows them in order."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "BadCharacters2021"
    paper: ClassVar[str] = "Boucher et al. 2022, arXiv:2106.09898 (imperceptible perturbations)"
    equation: ClassVar[str] = """
        min f_y(x with edits at p_1 … p_m) over places p by differential evolution (best1bin, population 32, at most 10
        generations), m = 3; until the answer changes. The edit: the letters ab are
        stored ba, between bidirectional control characters.
    """
    changes: ClassVar[str] = "The stored order of up to three pairs of letters."
    cost: ClassVar[str] = "About 30 queries a generation, at most 330; each generation is one batch."
    departures: ClassVar[str] = """
        Untargeted, where textattack's BadCharacters2021 has targeted goals only. A generation is scored at once and
        replaces the one before (the paper's implementation updates one by one and polishes at the end). Pairs
        do not nest.
    """
    pitfalls: ClassVar[str] = """
        The tokenizer of uncased BERT drops the control characters and reads the swapped letters. The paper's
        fourth kind, invisible characters, is left out: that tokenizer drops them too, and nothing is changed.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack on `victim`."""
        from stabbench.attacks.engine.imperceptible import Reorderings, bad_characters

        return bad_characters(victim, Reorderings(), edits=3)
