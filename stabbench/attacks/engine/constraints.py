"""The same search under lax and under strict constraints: how much of a success rate is due to what is allowed."""

from __future__ import annotations

from typing import Any

from textattack.constraints.semantics import WordEmbeddingDistance

from stabbench.attacks.engine.similarity import LocalEncoder, local_encoder
from stabbench.attacks.engine.word_vectors import glove

THRESHOLDS: dict[str, float] = {"lax": 0.7, "strict": 0.9}
"""Least cosine of swapped words' vectors, and of the whole texts' encodings.

The values of the public search benchmark, in which success fell from 78.8 % to 17.0 % [read in its logs, not re-run].
It took counter-fitted vectors and BERTScore where we have GloVe and all-MiniLM-L6-v2: rates do not compare to its.
"""


def constrain(search: Any, preset: str) -> None:
    """Add the constraints of a preset to a ``textattack.Attack``; ``recipe`` leaves it as it is.

    Both compare with the clean text. A word without a vector may not be swapped, nor be put in.

    Raises:
        AssetError: the vectors or the encoder were not fetched.
    """
    if preset == "recipe":
        return
    least = THRESHOLDS[preset]
    # Before what the recipe has of its own: looking up two vectors costs less than any encoder.
    search.constraints.insert(0, WordEmbeddingDistance(glove(), include_unknown_words=False, min_cos_sim=least))
    search.constraints.append(LocalEncoder(local_encoder(), threshold=least))
