"""Order of the examples: a permutation per epoch, batches of similar length, decided by the order seed alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stabbench.seeding import TrialSeeds
from stabbench.training.order import epoch_batches, order_hash

LENGTHS = np.random.default_rng(0).integers(4, 60, size=200).tolist()


@given(
    lengths=st.lists(st.integers(1, 100), max_size=120),
    size=st.integers(1, 20),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 9),
)
def test_every_example_is_seen_once_and_only_the_last_batch_cut_is_short(
    lengths: list[int], size: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(lengths, size, TrialSeeds(0, seed), epoch)

    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    assert sum(len(batch) != size for batch in batches) <= 1


def test_the_order_seed_and_the_epoch_decide_and_the_init_seed_does_not() -> None:
    def order(init: int, seed: int, epoch: int) -> list[list[int]]:
        return epoch_batches(LENGTHS, 16, TrialSeeds(init, seed), epoch)

    assert order(0, 3, 0) == order(9, 3, 0)
    assert order(0, 3, 0) != order(0, 4, 0)
    assert order(0, 3, 0) != order(0, 3, 1)


def test_buckets_pad_less_than_a_plain_shuffle() -> None:
    def padded(batches: list[list[int]]) -> int:
        return sum(len(batch) * max(LENGTHS[index] for index in batch) for batch in batches)

    shuffled = np.random.default_rng(1).permutation(200).tolist()
    plain = [shuffled[start : start + 16] for start in range(0, 200, 16)]

    assert padded(epoch_batches(LENGTHS, 16, TrialSeeds(0, 0), 0)) < 0.85 * padded(plain)


def test_batches_do_not_come_in_order_of_length() -> None:
    widths = [max(LENGTHS[i] for i in batch) for batch in epoch_batches(LENGTHS, 16, TrialSeeds(0, 0), 0)]

    assert widths != sorted(widths)


def test_the_hash_depends_on_the_order() -> None:
    assert order_hash(["a", "b"]) != order_hash(["b", "a"])
    assert order_hash(["a", "b"]) == order_hash(["a", "b"])
