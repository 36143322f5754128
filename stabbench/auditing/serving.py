"""Callables served to the worker processes: they stay in the user's process, and are asked over a local socket."""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, Listener
from typing import Any

from stabbench.auditing.request import Predictor
from stabbench.models.served import checked_probabilities
from stabbench.suite.checkpoints import CALLABLE, SERVERS


def callable_name() -> str:
    """Return a name that no other callable has: a function has no content hash, so nothing of it is ever cached."""
    return f"{CALLABLE}{secrets.token_hex(6)}"


@contextmanager
def serving(predictors: Mapping[str, Predictor]) -> Iterator[None]:
    """Answer the workers that ask the callables, by name, until the context ends; one call at a time."""
    if not predictors:
        yield
        return
    lock = threading.Lock()
    servers, listeners = {}, []
    for name, predict in predictors.items():
        key = secrets.token_bytes(16)
        listener = Listener(family="AF_UNIX", authkey=key)
        listeners.append(listener)
        servers[name] = [listener.address, key.hex()]
        threading.Thread(target=_accept, args=(listener, predict, lock), daemon=True).start()
    before = os.environ.get(SERVERS)
    os.environ[SERVERS] = json.dumps(servers)
    try:
        yield
    finally:
        os.environ.pop(SERVERS)
        if before is not None:
            os.environ[SERVERS] = before
        for listener in listeners:
            listener.close()


def _accept(listener: Listener, predict: Predictor, lock: threading.Lock) -> None:
    while True:
        try:
            connection = listener.accept()
        except (AuthenticationError, EOFError):
            continue  # someone who is none of our workers
        except OSError:
            return  # closed: the audit is over
        threading.Thread(target=_answer, args=(connection, predict, lock), daemon=True).start()


def _answer(connection: Connection[Any, Any], predict: Predictor, lock: threading.Lock) -> None:
    """Answer one worker until it hangs up: probabilities, or what went wrong as text."""
    while True:
        try:
            texts = connection.recv()
        except (EOFError, OSError):
            return
        try:
            with lock:
                found: Any = checked_probabilities(predict(texts), len(texts))
        # The boundary of the user's function: whatever it raises is told to the cell that asked.
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        connection.send(found)
