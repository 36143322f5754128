"""The server's side: a bounded queue in front of one worker that answers as many waiting texts at once as it may.

No torch: what scores is given, so that the same code runs on a fake model. Requests and answers are lines of JSON.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterable, Sequence
from typing import Any

CLOSED = object()
Answer = Callable[[dict[str, Any]], None]


class Intake:
    """Requests that wait: at most `limit` of them, first come, first served."""

    def __init__(self, limit: int) -> None:
        # One place more, for the mark of the end: closing must never wait.
        self._waiting: queue.Queue[Any] = queue.Queue(limit + 1)
        self._limit = limit
        self._open = True

    def offer(self, request: Any) -> bool:
        """Take a request, or say that the queue is full."""
        if self._waiting.qsize() >= self._limit:
            return False
        self._waiting.put_nowait(request)
        return True

    def close(self) -> None:
        """Say that no request comes any more; those that wait are still served."""
        self._waiting.put(CLOSED)

    def take(self, most: int) -> list[Any]:
        """Wait for a request; return it with those that wait behind it, `most` in all. Empty: closed."""
        if not self._open:
            return []
        taken = [self._waiting.get()]
        while len(taken) < most and taken[-1] is not CLOSED:
            try:
                taken.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        if taken[-1] is CLOSED:
            self._open = False
            taken.pop()
        return taken


def read_requests(lines: Iterable[str], intake: Intake, answer: Answer) -> None:
    """Queue every request ``{"id", "text"}`` that comes in; one that finds the queue full is refused at once."""
    for line in lines:
        request = json.loads(line)
        if not intake.offer(request):
            answer({"id": request["id"], "refused": True})
    intake.close()


def serve(intake: Intake, score: Callable[[Sequence[Any]], dict[str, Any]], answer: Answer, most: int) -> None:
    """Answer requests until the intake is closed and empty.

    Args:
        intake: where requests wait.
        score: computes on the texts of one batch, and returns what is to be told with each of its answers.
        answer: sends one answer.
        most: texts per batch.
    """
    while taken := intake.take(most):
        told = score([request["text"] for request in taken])
        for request in taken:
            answer({"id": request["id"], "refused": False, **told})
