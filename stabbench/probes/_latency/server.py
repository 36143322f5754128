"""One subject behind a queue, as a process: requests come on standard input, answers leave on standard output."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from stabbench.probes._latency.contamination import run_queue_wait
from stabbench.probes._latency.loading import load_one
from stabbench.probes._latency.protocol import read_protocol
from stabbench.probes._latency.serving import Intake, read_requests, serve


def main(protocol_file: str, subject: int) -> None:
    """Load the subject, say ``{"ready": true}``, serve until standard input ends."""
    protocol = read_protocol(Path(protocol_file))
    plan = protocol.server
    # Libraries may print; answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    loaded = load_one(protocol.subjects[subject])
    lock = threading.Lock()

    def answer(content: dict[str, Any]) -> None:
        with lock:
            answers.write(json.dumps(content) + "\n")
            answers.flush()

    def score(texts: Sequence[Any]) -> dict[str, Any]:
        before, start = run_queue_wait(), time.perf_counter()
        loaded.logits(loaded.encode([text if isinstance(text, str) else (text[0], text[1]) for text in texts]))
        seconds, after = time.perf_counter() - start, run_queue_wait()
        return {"busy": seconds, "wait": None if after is None or before is None else after - before}

    for text in protocol.texts[: protocol.warmup + 3]:
        score([text])
    gc.collect()
    gc.freeze()
    gc.disable()
    intake = Intake(plan.queue)
    # Lines, not blocks: iterating over the text stream would read ahead.
    lines = (line.decode() for line in iter(sys.stdin.buffer.readline, b""))
    reader = threading.Thread(target=read_requests, args=(lines, intake, answer), daemon=True)
    reader.start()
    answer({"ready": True})
    serve(intake, score, answer, plan.batch)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
