"""The worker process: reads jobs as JSON lines on standard input, writes events as JSON lines on standard output.

Started as ``python -m stabbench.execution.worker ROLE``. Whatever libraries print goes to standard error. When standard
input ends, the driver is gone or done: the process exits at once, and its draft cells are worth nothing.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import Any, TextIO

from stabbench.execution.job import Job, Study
from stabbench.records import finite


def main() -> None:
    """Serve jobs until standard input ends."""
    role = sys.argv[1]
    channel = _private_output()
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    if role == "attack":
        from stabbench.attacks.engine.environment import prepare

        prepare()
    from stabbench.execution.perform import perform

    while True:
        message = jobs.get()
        study, job = Study.from_json(message["study"]), Job.from_json(message["job"])
        perform(study, job, lambda event: _send(channel, event), message["until"])
        _send(channel, {"event": "finished"})


def _private_output() -> TextIO:
    """Keep standard output for events alone: the file descriptor moves, and 1 now means standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _read(jobs: queue.Queue[dict[str, Any]]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os._exit(0)


def _send(channel: TextIO, event: dict[str, Any]) -> None:
    channel.write(json.dumps(finite(event)) + "\n")
    channel.flush()


if __name__ == "__main__":
    main()
