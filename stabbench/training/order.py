"""In which order examples are seen: a permutation per epoch, cut into batches of similar length."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from stabbench.seeding import TrialSeeds, derive

POOL = 8
"""Batches that are sorted by length together: larger pools pad less and shuffle less."""


def epoch_batches(lengths: Sequence[int], batch_size: int, seeds: TrialSeeds, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch as lists of example indices; every example once, the last batch may be short.

    The order stream of (seed, epoch) permutes the examples; pools of 8 batches are sorted by length and cut into
    batches; the order of the batches is shuffled. `lengths` are token counts before augmentation, so that augmentation
    does not change the order.
    """
    generator = np.random.default_rng(derive(seeds.stream("order"), epoch))
    permutation = generator.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(permutation), POOL * batch_size):
        pool = sorted(permutation[start : start + POOL * batch_size].tolist(), key=lambda index: lengths[index])
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]


def order_hash(examples: Sequence[str]) -> str:
    """Return a sha256 of the example ids in the order seen."""
    return hashlib.sha256("\n".join(examples).encode()).hexdigest()
