"""A fresh process that answers its first text: what each step took, and what memory it needed. Prints one JSON line."""

from __future__ import annotations

import gc
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from stabbench.probes._latency.contamination import run_queue_wait
from stabbench.probes._latency.preload import preload
from stabbench.probes._latency.protocol import Timed, read_protocol

_CALLS = 24
_STEADY = 1.05
"""A call is as fast as later ones from 5 % above their median on."""
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


def calls_until_steady(seconds: Sequence[float]) -> int:
    """Return how many calls it took until one was within 5 % of the median of the later half; 1: the first call was."""
    bound = _STEADY * median(seconds[len(seconds) // 2 :])
    return next(index + 1 for index, value in enumerate(seconds) if value <= bound)


def main(protocol_file: str, subject: int, spawned: float) -> None:
    """Load one subject, answer one text again and again, tell everything.

    Args:
        protocol_file: the protocol.
        subject: index of the subject.
        spawned: the monotonic clock when the parent started this process; that clock is the machine's, not a process's.
    """
    protocol = read_protocol(Path(protocol_file))
    member, text = protocol.subjects[subject], protocol.texts[0]
    load = _loader(member)
    imported, at_imports = time.monotonic(), _status("VmRSS:")
    loaded = load()
    ready = time.monotonic()
    loaded.logits(loaded.encode([text]))
    seconds = [time.monotonic() - ready]
    wait, peak = run_queue_wait(), _peak()
    # What only loading needed is gone now: what comes is what serving alone needs.
    gc.collect()
    reset = _reset_peak()
    for _ in range(_CALLS):
        start = time.monotonic()
        loaded.logits(loaded.encode([text]))
        seconds.append(time.monotonic() - start)
    answer = {
        "import": imported - spawned,
        "load": ready - imported,
        "first": seconds[0],
        "total": ready - spawned + seconds[0],
        "wait": wait,
        "calls": calls_until_steady(seconds),
        "memory": {"peak": peak, "imports": at_imports, "serving": _peak() if reset else None},
    }
    print(json.dumps(answer))


def _loader(member: Timed) -> Callable[[], Any]:
    """Import what serving the member needs, and return what loads it: something that encodes texts and gives logits.

    A graph needs its runtime and a tokenizer; all else needs torch and transformers.
    """
    if member.runtime == "torch":
        import torch

        # What loading imports belongs to the imports.
        preload()
        from stabbench.probes._latency.loading import load_one

        torch.set_num_threads(1)
        return partial(load_one, member)
    import tokenizers  # noqa: F401

    from stabbench.compression._deployed import deployed

    importlib.import_module(member.runtime)
    assert member.artifact is not None, f"{member.compression}: a compressed member needs its artifact"
    return partial(deployed, Path(member.artifact), member.runtime)


def _peak() -> int | None:
    """Return the largest memory of this process so far, in bytes; outside Linux by the system's own record."""
    found = _status("VmHWM:")
    if found is not None:
        return found
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024


def _reset_peak() -> bool:
    """Start the record of the largest memory anew, and say whether that was possible (Linux)."""
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status(field: str) -> int | None:
    """Return a size of ``/proc/self/status`` in bytes; None outside Linux."""
    if not _STATUS.exists():
        return None
    lines = (line.split() for line in _STATUS.read_text(encoding="utf-8").splitlines())
    return next((int(words[1]) * 1024 for words in lines if words and words[0] == field), None)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
