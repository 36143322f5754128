"""The timed rounds of one process, as pytest-benchmark tests; started by `processes`, not collected by our own tests.

Each test is one turn: a few rounds of one subject in one block. Turns follow the protocol's order, so that subjects
interleave although pytest-benchmark runs test after test.
"""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest
import torch

from stabbench.models.batch import Batch
from stabbench.models.subject import Subject
from stabbench.probes._latency.contamination import RoundWatch
from stabbench.probes._latency.facts import embedding_modules, facts
from stabbench.probes._latency.loading import load_all
from stabbench.probes._latency.protocol import FACTS, MIXED, Protocol, current

_Texts = dict[tuple[int, int], list[list[Any]]]


@dataclass(frozen=True)
class _Panel:
    """Loaded subjects, and for each (batch, length) the texts that the rounds of every subject go through."""

    protocol: Protocol
    subjects: tuple[Subject, ...]
    texts: _Texts


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
    subjects = load_all(protocol, process)
    texts = {shape: _texts(protocol, *shape) for shape in protocol.shapes}
    for subject in subjects:
        for (_, length), parts in texts.items():
            for part in islice(cycle(parts), protocol.warmup):
                subject.logits(_encode(subject, part, length))
    if process == 0:
        _write_facts(protocol, subjects, texts)
    # What is loaded now stays until the process ends; frozen, it is not walked through when the interpreter exits.
    gc.freeze()
    return _Panel(protocol, subjects, texts)


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
    """Time one subject's rounds of one block; each text is tokenised just before, and that is timed apart."""
    rounds = panel.protocol.rounds(turn.batch)
    # A first, untimed round brings back the weights that other subjects drove from the caches.
    warmup = 1 if rounds > 1 else 0
    subject = panel.subjects[turn.subject]
    mine = panel.texts[turn.batch, turn.length][turn.block * rounds : (turn.block + 1) * rounds]
    upcoming = iter([*mine[:warmup], *mine])
    watch, tokenization, tokens = RoundWatch(), [], []

    def setup() -> tuple[tuple[Batch], dict[str, Any]]:
        part = next(upcoming)
        start = time.perf_counter()
        batch = _encode(subject, part, turn.length)
        tokenization.append(time.perf_counter() - start)
        tokens.append(int(batch.attention_mask.sum()))
        watch.start()
        return (batch,), {}

    benchmark.pedantic(subject.logits, setup=setup, teardown=watch.stop, rounds=rounds, warmup_rounds=warmup)
    benchmark.extra_info.update(
        kind="turn",
        subject=turn.subject,
        batch=turn.batch,
        length=turn.length,
        block=turn.block,
        waits=watch.waits[warmup:],
        cpu=watch.cpu[warmup:],
        tokenization=tokenization[warmup:],
        tokens=tokens[warmup:],
    )


def _texts(protocol: Protocol, batch: int, length: int) -> list[list[Any]]:
    """Return the texts of every round of a shape, the same for every subject."""
    return list(islice(_chunks(protocol.texts, batch), protocol.rounds(batch) * protocol.blocks(batch)))


def _write_facts(protocol: Protocol, subjects: Sequence[Subject], texts: _Texts) -> None:
    reference = subjects[0]
    names = embedding_modules(reference.model) if reference.model is not None else []
    found = []
    for member, subject in zip(protocol.subjects, subjects, strict=True):
        batches = {f"{b}x{n}": _encode(subject, texts[b, n][0], n) for b, n in protocol.shapes if n != MIXED}
        found.append(facts(subject, Path(member.artifact or member.folder), names, batches))
    Path(os.environ[FACTS]).write_text(json.dumps(found), encoding="utf-8")


def _chunks(texts: Sequence[Any], size: int) -> Iterator[list[Any]]:
    """Yield ever new lists of `size` texts, going round and round."""
    endless = cycle(texts)
    while True:
        yield list(islice(endless, size))


def _encode(subject: Subject, texts: list[Any], length: int) -> Batch:
    """Return the texts cut and padded to exactly `length` tokens; real tokens, and the mask says which.

    At length `MIXED` they are cut where the model's training cut them, and padded to the longest of them.
    """
    if length == MIXED:
        return subject.encode(texts)
    coded = subject.tokenizer(texts, truncation=True, max_length=length, padding="max_length", return_tensors="pt")
    return Batch(coded["input_ids"], coded["attention_mask"], coded.get("token_type_ids"))
