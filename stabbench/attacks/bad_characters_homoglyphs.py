"""Bad characters: letters that look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class BadCharactersHomoglyphs(Attack):
    """Replaces up to three letters by letters of other scripts that look the same."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "BadCharacters2021"
    paper: ClassVar[str] = "Boucher et al. 2022, arXiv:2106.09898 (imperceptible perturbations)"
    equation: ClassVar[str] = """
        min f_y(x with edits at p_1 … p_m) over places p by differential evolution (best1bin, population 32, at most 10
        generations), m = 3; until the answer changes. The edit: a letter becomes
        its look-alike.
    """
    changes: ClassVar[str] = "Up to three letters; what a reader sees stays."
    cost: ClassVar[str] = "About 30 queries a generation, at most 330; each generation is one batch."
    departures: ClassVar[str] = """
        Untargeted, where textattack's BadCharacters2021 has targeted goals only. A generation is scored at once and
        replaces the one before (the paper's implementation updates one by one and polishes at the end). The map of
        look-alikes is ours, one per letter: the file textattack reads its own from is missing from its package.
    """
    pitfalls: ClassVar[str] = """
        A tokenizer that normalises look-alikes away cannot be fooled; one that does not gives an unknown token, so
        success says more of the vocabulary than of the model.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack on `victim`."""
        from stabbench.attacks.engine.imperceptible import Homoglyphs, bad_characters

        return bad_characters(victim, Homoglyphs(), edits=3)
