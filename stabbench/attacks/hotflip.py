"""HotFlip: words flipped along the gradient of the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from stabbench.attacks.base import Attack, Tier


@dataclass(frozen=True)
class Hotflip(Attack):
    """Flips whole words to those that the gradient says raise the loss most; needs the model's gradients."""

    version: ClassVar[int] = 1
    tier: ClassVar[Tier] = "offline"
    recipe: ClassVar[str] = "HotFlipEbrahimi2017"
    paper: ClassVar[str] = "Ebrahimi et al. 2018, arXiv:1712.06751"
    equation: ClassVar[str] = """
        gain(i, v) = ∇_{e_i} L(x, y) · (e_v − e_i) for the token i and the word v of the vocabulary; of the 16 flips
        with the largest gain the one with the least f_y is made; again at other places until the answer changes, a
        fifth of the places is flipped, or no flip helps.
    """
    changes: ClassVar[str] = "Whole words, to any word of the model's vocabulary."
    cost: ClassVar[str] = "Per flip one forward and backward pass, not counted as a query, and 16 queries."
    departures: ClassVar[str] = """
        Ours: textattack's recipe runs on its own LSTM only. Flips tokens of a subword vocabulary, and only words that
        are one token; greedy, where the paper keeps a beam; without its constraints on meaning (cosine of word vectors
        at least 0.8, same part of speech), which need resources of their own.
    """
    pitfalls: ClassVar[str] = """
        It does not keep the meaning: ``good`` may become ``awful``, and then the other answer is right. Read it as a
        bound from below on what words can do, not as a rate of errors. Not for subjects without gradients.
    """

    def build(self, victim: Any) -> Any:
        """Return the attack on `victim`."""
        from stabbench.attacks.engine.token_flips import token_flips

        return token_flips(victim, tried=16, most_flips=0.2)
