"""Words and characters in Chinese."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Chinese(Attack):
    """Swaps Chinese words by HowNet and a masked language model, and characters by sound and shape."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "full"
    recipe: ClassVar[str] = "ChineseRecipe"
    needs: ClassVar[tuple[str, ...]] = ("open-hownet", "hub:xlm-roberta-base")
    paper: ClassVar[str] = "textattack's own (Morris et al. 2020, arXiv:2005.05909)"
    equation: ClassVar[str] = """
        Order words as PWWS does; in that order make the best swap of word or character, until the answer
        changes.
    """
    changes: ClassVar[str] = "Whole words, and characters of one sound or shape."
    cost: ClassVar[str] = "w queries to rank w words, and all their swaps."
    departures: ClassVar[str] = """
        textattack's recipe as it comes.
    """
    pitfalls: ClassVar[str] = """
        Words are cut by a segmenter of its own. For noise in Chinese that needs nothing see zh_homophone and
        zh_shape.
    """
