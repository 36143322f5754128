"""Makes a process fit for textattack: its data, no network, and nothing else of the process changed.

Importing textattack 0.3.11 unprepared downloads six NLTK packages and fails without them, points the caches of other
libraries elsewhere, and imports flair, which disables every logger and draws random numbers. `prepare` is called first
in the attack worker, and there alone: it closes the process to the network for good.
"""

from __future__ import annotations

import importlib
import logging
import os
import random
import socket
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from stabbench.attacks.engine.private_folder import private_copy
from stabbench.errors import StabbenchError

NLTK_DATA = Path(__file__).parent / "nltk_data"
# The file by which textattack knows that it has tried its downloads.
_MARKER = "post_install_check_3"
# Libraries that textattack imports anyway, and that read cache folders from the environment when they are imported:
# textattack overwrites those variables half-way.
_CACHE_READERS = ("datasets", "matplotlib.pyplot", "transformers")
_NETWORK_EVENTS = frozenset(
    {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)
_prepared = False


def prepare() -> None:
    """Make this process an attack worker: no network, textattack imported. A second call does nothing.

    Afterwards every network connection raises `StabbenchError` (sockets of this machine's file system stay), for as
    long as the process lives. Environment variables, loggers and random states are as before, but for
    ``HF_HUB_OFFLINE=1`` and ``TOKENIZERS_PARALLELISM=false``.
    """
    global _prepared
    if _prepared:
        return
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    sys.addaudithook(_refuse_network)
    if "flair" not in sys.modules:
        sys.modules.update(_flair_stand_in())
    with _unchanged_process(), tempfile.TemporaryDirectory(prefix="stabbench-textattack-") as folder:
        for name in _CACHE_READERS:
            importlib.import_module(name)
        import nltk

        nltk.data.path.insert(0, str(private_copy(NLTK_DATA, "stabbench-nltk-")))
        # Some parts of textattack ask for a download when they are built, whether or not they have what they need.
        nltk.download = _no_download
        (Path(folder) / _MARKER).touch()
        os.environ["TA_CACHE_DIR"] = folder
        importlib.import_module("textattack")
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("textattack"):
            logging.getLogger(name).setLevel(logging.ERROR)
    _prepared = True


def _no_download(*_: object, **__: object) -> bool:
    return False


def require() -> None:
    """Raise `StabbenchError` unless `prepare` was called in this process."""
    if not _prepared:
        raise StabbenchError(
            "attacks run in a process of their own: call stabbench.attacks.engine.environment.prepare() first, "
            "which closes the process to the network for good"
        )


def _refuse_network(event: str, args: tuple[Any, ...]) -> None:
    if event in _NETWORK_EVENTS:
        first = args[0]
        if isinstance(first, socket.socket) and first.family == socket.AF_UNIX:
            return
        place = args[1] if isinstance(first, socket.socket) and len(args) > 1 else first
        raise StabbenchError(f"the attack process has no network; {event} to {place!r} was refused")


def _flair_stand_in() -> dict[str, types.ModuleType]:
    """Return what textattack needs of flair at import: a base class and two names.

    flair takes most of the import time, and textattack uses it only to tag parts of speech and named entities, with
    models that have to be downloaded. A recipe that does so here fails with the message below, in its own row.
    """

    class Absent:
        """Refuses to be used."""

        def __init__(self, *_: object, **__: object) -> None:
            raise StabbenchError("flair is left out of the attack process: its taggers would have to be downloaded")

        load = __init__

    contents: dict[str, dict[str, object]] = {
        "flair": {"__path__": []},
        "flair.data": {"Tokenizer": type("Tokenizer", (), {}), "Sentence": Absent},
        "flair.models": {"SequenceTagger": Absent},
    }
    modules = {name: types.ModuleType(name) for name in contents}
    for name, module in modules.items():
        vars(module).update(contents[name], __spec__=ModuleSpec(name, None))
    vars(modules["flair"]).update(data=modules["flair.data"], models=modules["flair.models"])
    return modules


@contextmanager
def _unchanged_process() -> Iterator[None]:
    """Put environment variables, loggers, random states and warning filters back afterwards."""
    environment, drawn = dict(os.environ), random.getstate()
    import numpy as np
    import torch

    loggers = {name: item for name, item in logging.root.manager.loggerDict.items() if isinstance(item, logging.Logger)}
    before = {name: (item.disabled, item.level) for name, item in loggers.items()}
    root = logging.root.handlers[:], logging.root.level
    states = np.random.get_state(), torch.get_rng_state()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(drawn)
        np.random.set_state(states[0])
        torch.set_rng_state(states[1])
        logging.root.handlers[:], logging.root.level = root
        for name, (disabled, level) in before.items():
            loggers[name].disabled = disabled
            loggers[name].setLevel(level)
        os.environ.clear()
        os.environ.update(environment)
