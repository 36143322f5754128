"""Lock-step: turns, batches and random states, against the same works done one after the other."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest
import torch

from stabbench.attacks.engine.lockstep import ask, in_lock_step, take_turns


class Doubler:
    """Doubles numbers and remembers what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[list[Any]] = []

    def __call__(self, items: list[Any]) -> list[Any]:
        self.asked.append(items)
        if "bad" in items:
            raise ValueError("bad")
        return [2 * item for item in items]


def search(batch: Doubler, seed: int, rounds: int, told: dict[int, list[Any]]) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    told[seed] = []
    for _ in range(rounds):
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))][: 1 + seed % 3]
        told[seed] += list(ask(batch, drawn))


def test_each_search_draws_what_it_draws_alone_and_requests_are_answered_together() -> None:
    alone: dict[int, list[Any]] = {}
    for seed in range(5):
        search(Doubler(), seed, 3 + seed, alone)
    batch, together = Doubler(), dict[int, list[Any]]()
    state = random.getstate(), torch.get_rng_state().tolist()
    take_turns(range(5), 3, lambda lane, seed: search(batch, seed, 3 + seed, together))

    assert together == alone
    assert (random.getstate(), torch.get_rng_state().tolist()) == state
    # 25 requests one by one; the lanes have 3 + 6, 4 + 7 and 5 rounds, and all lanes ask in each.
    assert len(batch.asked) == 11
    assert len(batch.asked[0]) == 1 + 2 + 3


def test_two_functions_are_asked_apart() -> None:
    first, second, found = Doubler(), Doubler(), dict[int, Any]()

    def work(number: int) -> None:
        found[number] = ask(first if number % 2 else second, [number])

    in_lock_step([lambda n=n: work(n) for n in range(4)])  # type: ignore[misc]

    assert found == {n: [2 * n] for n in range(4)}
    assert first.asked == [[1, 3]]
    assert second.asked == [[0, 2]]


def test_a_bad_request_is_the_error_of_its_own_search() -> None:
    batch, found = Doubler(), dict[int, Any]()

    def work(lane: int, item: Any) -> None:
        try:
            found[lane] = ask(batch, [item])
        except ValueError as error:
            found[lane] = str(error)

    take_turns([1, "bad", 3], 3, work)

    assert found == {0: [2], 1: "bad", 2: [6]}


def test_an_error_ends_its_search_and_is_raised_at_the_end() -> None:
    done = []

    def work(lane: int, item: int) -> None:
        if item == 1:
            raise ValueError("one")
        done.append(item)

    with pytest.raises(ValueError, match="one"):
        take_turns([0, 1, 2], 2, work)
    assert done == [0, 2]
    assert not [thread for thread in threading.enumerate() if thread.name == "stabbench-search"]


def test_without_lock_step_a_request_is_answered_at_once() -> None:
    assert ask(Doubler(), [1, 2]) == [2, 4]
