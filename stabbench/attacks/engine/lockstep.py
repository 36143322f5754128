"""Many searches side by side: one runs at a time, and what they all wait for is computed in one batch.

A search asks for scores a few texts at a time. Here each search is a thread of its own that holds a baton: it runs
until it asks (`ask`) or ends, then the next one runs. When every search waits, their requests are answered together.
Only one thread ever runs, and the order of turns is fixed, so that two searches never share the global state of
textattack; each sees random generators (`random`, NumPy, torch) of its own, swapped at every turn.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

Batch = Callable[[list[Any]], Any]
"""Answers a list of items with as many results, in order; a result may depend on the other items by rounding only."""

_running: _Lane | None = None


def ask(batch: Batch, items: list[Any]) -> Any:
    """Return `batch(items)`; in a search that runs in lock-step, computed together with what the others ask for.

    Raises:
        Exception: what `batch` raises on these items alone.
    """
    return batch(items) if _running is None or not items else _running.ask(batch, items)


def in_lock_step(works: Sequence[Callable[[], None]]) -> None:
    """Run every work to its end, side by side. Random states of the process are as before.

    Raises:
        Exception: what a work raised, after all have ended: the first in order.
    """
    before = _random_states()
    lanes = [_Lane(work) for work in works]
    try:
        while going := [lane for lane in lanes if not lane.ended]:
            for lane in going:
                lane.turn()
            _answer([lane for lane in going if not lane.ended])
    finally:
        _set_random_states(before)
    for lane in lanes:
        if lane.error is not None:
            raise lane.error


class _Lane:
    """One work in a thread that runs only between `turn` and its next request."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.work = work
        self.ended = False
        self.error: BaseException | None = None
        self.batch: Batch | None = None
        self.items: list[Any] = []
        self.answer: Any = ()
        self.mine, self.driver = threading.Semaphore(0), threading.Semaphore(0)
        self.states = _random_states()
        self.thread = threading.Thread(target=self._run, name="stabbench-search", daemon=True)
        self.thread.start()

    def turn(self) -> None:
        """Let the work run until it asks or ends."""
        global _running
        _set_random_states(self.states)
        _running = self
        self.mine.release()
        self.driver.acquire()
        _running = None
        self.states = _random_states()
        if self.ended:
            self.thread.join()

    def ask(self, batch: Batch, items: list[Any]) -> Any:
        """Give the baton away with a request, and return its answer when the baton is back."""
        self.batch, self.items = batch, items
        self.driver.release()
        self.mine.acquire()
        self.batch = None
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def _run(self) -> None:
        self.mine.acquire()
        try:
            self.work()
        # Carried to the thread that started the work, and raised there.
        except BaseException as error:
            self.error = error
        self.ended = True
        self.driver.release()


def _answer(lanes: list[_Lane]) -> None:
    """Answer all waiting requests, those for the same function together."""
    for batch in dict.fromkeys(lane.batch for lane in lanes):
        assert batch is not None
        asking = [lane for lane in lanes if lane.batch == batch]
        try:
            found = batch([item for lane in asking for item in lane.items])
        # Whatever it is: each request is asked again by itself, and what fails alone too is raised in its own search.
        except Exception:
            for lane in asking:
                lane.answer = _alone(batch, lane.items)
            continue
        ends = np.cumsum([len(lane.items) for lane in asking]).tolist()
        for lane, end in zip(asking, ends, strict=True):
            lane.answer = found[end - len(lane.items) : end]


def _alone(batch: Batch, items: list[Any]) -> Any:
    try:
        return batch(items)
    except Exception as error:
        return error


def take_turns(items: Sequence[Any], lanes: int, work: Callable[[int, Any], None]) -> None:
    """Call ``work(lane, item)`` for every item, `lanes` at a time in lock-step; a free lane takes the next item."""
    rest: Iterator[Any] = iter(items)

    def lane(number: int) -> Callable[[], None]:
        def run() -> None:
            for item in rest:
                work(number, item)

        return run

    in_lock_step([lane(number) for number in range(lanes)])


def _random_states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _set_random_states(states: tuple[Any, ...]) -> None:
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
