"""The timed rounds of one process, as pytest-benchmark tests; started by `processes`, not collected by our own tests.

Each test is one turn: a few rounds of one subject in one block. Turns follow the protocol's order, so that subjects
interleave although pytest-benchmark runs test after test.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import torch

from stabbench.compression.base import load_compressed
from stabbench.models.batch import Batch
from stabbench.models.loading import load_subject
from stabbench.models.subject import Subject
from stabbench.probes._latency.protocol import Protocol, current
from stabbench.records import DENSE

_SCHEDSTAT = Path("/proc/thread-self/schedstat")


@dataclass(frozen=True)
class _Panel:
    """Loaded subjects, and for each (subject, batch, length) the batches that its rounds go through."""

    protocol: Protocol
    subjects: tuple[Subject, ...]
    batches: dict[tuple[int, int, int], list[Batch]]


class _RunQueue:
    """Seconds that this thread waited for a processor while a round ran: what a neighbour on the machine took."""

    def __init__(self) -> None:
        self.waits: list[float | None] = []
        self._before = 0

    def start(self) -> None:
        self._before = self._nanoseconds()

    def stop(self, *_: Batch) -> None:
        known = _SCHEDSTAT.exists()
        self.waits.append((self._nanoseconds() - self._before) / 1e9 if known else None)

    @staticmethod
    def _nanoseconds() -> int:
        return int(_SCHEDSTAT.read_text(encoding="ascii").split()[1]) if _SCHEDSTAT.exists() else 0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Order the turns as the protocol says."""
    protocol, process = current()
    if "turn" in metafunc.fixturenames:
        metafunc.parametrize("turn", list(protocol.turns(process)), ids=str)
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", protocol.shapes, ids=lambda shape: f"b{shape[0]}-l{shape[1]}")


@pytest.fixture(scope="module")
def panel() -> _Panel:
    """Load every subject, encode every text, and score until caches, code and buffers are warm."""
    torch.set_num_threads(1)
    protocol, process = current()
    subjects = _load(protocol, process)
    batches = {
        (index, batch, length): _batches(subject, protocol, batch, length)
        for index, subject in enumerate(subjects)
        for batch, length in protocol.shapes
    }
    for (index, _, _), ready in batches.items():
        for batch in islice(cycle(ready), protocol.warmup):
            subjects[index].logits(batch)
    # What is loaded now stays until the process ends; frozen, it is not walked through when the interpreter exits.
    gc.freeze()
    return _Panel(protocol, subjects, batches)


def test_tokenization(benchmark: Any, panel: _Panel, shape: tuple[int, int]) -> None:
    """Time the reference's tokenizer alone, on the same texts."""
    batch, length = shape
    texts = iter(cycle(_chunks(panel.protocol.texts, batch)))
    benchmark.extra_info.update(kind="tokenization", batch=batch, length=length)
    benchmark.pedantic(
        lambda part: _encode(panel.subjects[0], part, length),
        setup=lambda: ((next(texts),), {}),
        rounds=10,
        warmup_rounds=2,
    )


def test_turn(benchmark: Any, panel: _Panel, turn: Any) -> None:
    """Time one subject's rounds of one block, on texts tokenised beforehand."""
    rounds = panel.protocol.rounds(turn.batch)
    # A first, untimed round brings back the weights that other subjects drove from the caches.
    warmup = 1 if rounds > 1 else 0
    ready = panel.batches[turn.subject, turn.batch, turn.length]
    mine = list(islice(cycle(ready), turn.block * rounds, (turn.block + 1) * rounds))
    upcoming = iter([*mine[:warmup], *mine])
    queue = _RunQueue()

    def setup() -> tuple[tuple[Batch], dict[str, Any]]:
        batch = next(upcoming)
        queue.start()
        return (batch,), {}

    benchmark.pedantic(
        panel.subjects[turn.subject].logits, setup=setup, teardown=queue.stop, rounds=rounds, warmup_rounds=warmup
    )
    benchmark.extra_info.update(
        kind="turn",
        subject=turn.subject,
        batch=turn.batch,
        length=turn.length,
        block=turn.block,
        waits=queue.waits[warmup:],
        tokens=[int(batch.attention_mask.sum()) for batch in mine],
    )


def _load(protocol: Protocol, process: int) -> tuple[Subject, ...]:
    """Load each member; a compressed one takes tokenizer and architecture from a dense model that is loaded already."""
    loaded: dict[int, Subject] = {}
    parents: dict[str, Subject] = {}
    for index in protocol.load_order(process):
        member = protocol.subjects[index]
        if member.compression == DENSE or member.folder not in parents:
            dense = load_subject(member.folder)
            parents.setdefault(member.folder, dense)
        if member.compression == DENSE:
            loaded[index] = dense
        else:
            assert member.artifact is not None, f"{member.compression}: a compressed member needs its artifact"
            loaded[index] = load_compressed(member.compression, Path(member.artifact), parents[member.folder])
    return tuple(loaded[index] for index in range(len(protocol.subjects)))


def _batches(subject: Subject, protocol: Protocol, batch: int, length: int) -> list[Batch]:
    needed = protocol.rounds(batch) * protocol.blocks(batch)
    return [_encode(subject, texts, length) for texts in islice(_chunks(protocol.texts, batch), needed)]


def _chunks(texts: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Yield ever new lists of `size` texts, going round and round."""
    endless = cycle(texts)
    while True:
        yield list(islice(endless, size))


def _encode(subject: Subject, texts: list[Any], length: int) -> Batch:
    """Return the texts cut and padded to exactly `length` tokens; real tokens, and the mask says which."""
    coded = subject.tokenizer(texts, truncation=True, max_length=length, padding="max_length", return_tensors="pt")
    return Batch(coded["input_ids"], coded["attention_mask"], coded.get("token_type_ids"))
