"""Times one subject as an ordinary benchmark of pytest-benchmark, each round beside a fixed piece of work.

The fixed work (the *anchor*) is the same matrix products on every day and in every version of this project. A round's
ratio to the anchor before it leaves out what slows both: another clock frequency, a busy memory bus. So two sessions
can be compared although nothing of them ran side by side.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import torch

from stabbench.models.batch import Batch
from stabbench.models.subject import Subject
from stabbench.probes._latency.contamination import RoundWatch

ANCHOR = "3 x (32,384)·(384,1536)·(1536,384), float32"
ROUNDS = {"single": 20, "batched": 4}
WARMUP = 2
TEXTS = (
    "a film that is as quiet as it is good", "dull, and far too long for what it has to say", "no",
    "the plot leaves the rails somewhere in the second hour and never finds its way back to what began so well",
    "funny, warm and over too soon", "nobody in it seems to want to be there, and by the end neither do you",
    "a first film of rare patience; every scene knows what it is for", "it has its moments, both of them early",
)  # fmt: skip
"""Fixed texts: a benchmark at fixed length must not change because the data did."""


def make_anchor() -> Callable[[], float]:
    """Return the fixed work, which returns the seconds it took: three feed-forward blocks of MiniLM's shape."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(384, 1536), (1536, 384)] * 3
    weights = [torch.randn(shape, generator=generator) / shape[0] ** 0.5 for shape in shapes]
    given = torch.randn(32, 384, generator=generator)

    def work() -> float:
        with torch.inference_mode():
            start, x = time.perf_counter(), given
            for weight in weights:
                x = x @ weight
            return time.perf_counter() - start

    for _ in range(5):
        work()
    return work


def time_subject(
    benchmark: Any, subject: Subject, anchor: Callable[[], float], batch: int, length: int, rounds: int | None = None
) -> None:
    """Time `rounds` forward passes of `batch` texts of `length` tokens with the fixture `benchmark`.

    ``extra_info["stabbench"]``: batch, length, anchors (seconds of the anchor before each round), waits (run-queue
    wait of each), cpu (processor seconds of each), threads.
    """
    torch.set_num_threads(1)
    count = rounds or ROUNDS["single" if batch == 1 else "batched"]
    texts = cycle(TEXTS)
    ready = [_padded(subject, [next(texts) for _ in range(batch)], length) for _ in range(4)]
    upcoming, watch, anchors = cycle(ready), RoundWatch(), []

    def setup() -> tuple[tuple[Batch], dict[str, Any]]:
        anchors.append(anchor())
        given = next(upcoming)
        watch.start()
        return (given,), {}

    collecting = gc.isenabled()
    gc.disable()
    try:
        benchmark.pedantic(subject.logits, setup=setup, teardown=watch.stop, rounds=count, warmup_rounds=WARMUP)
    finally:
        if collecting:
            gc.enable()
    # With benchmarks disabled there is one call and no round.
    kept = slice(WARMUP, None) if len(anchors) == count + WARMUP else slice(0, None)
    benchmark.extra_info["stabbench"] = {
        "batch": batch,
        "length": length,
        "anchors": anchors[kept],
        "waits": watch.waits[kept],
        "cpu": watch.cpu[kept],
        "threads": torch.get_num_threads(),
    }


def _padded(subject: Subject, texts: list[str], length: int) -> Batch:
    coded = subject.tokenizer(texts, truncation=True, max_length=length, padding="max_length", return_tensors="pt")
    return Batch(coded["input_ids"], coded["attention_mask"], coded.get("token_type_ids"))
