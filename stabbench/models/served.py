"""A callable in another process of this machine as a subject: texts go over a local socket, probabilities come back.

Everything that probes do with token ids works on it, since its "tokens" are the characters of the text, from which the
text is put together again before it is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Client
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stabbench.data.example import Text
from stabbench.errors import ConfigurationError, StabbenchError
from stabbench.models.batch import Batch
from stabbench.models.subject import Subject
from stabbench.suite.checkpoints import SERVERS

LONGEST = 1_000_000
BETWEEN = 0x110000
"""The mark between the sentences of a pair: the first number that is no character."""


def served_subject(name: str, classes: Sequence[str], order: Sequence[int]) -> Subject:
    """Return the subject of a callable that the driver serves; it has no torch model.

    Args:
        name: ``callable:…``.
        classes: labels of the classes.
        order: for each class, which column of the callable's probabilities is its.

    Raises:
        ConfigurationError: nobody serves it: the process that had it is gone.
    """
    servers: Mapping[str, Sequence[str]] = json.loads(os.environ.get(SERVERS, "{}"))
    if name not in servers:
        raise ConfigurationError(
            [f"'{name}' was a function of a Python process that has ended; give it to stabbench.audit again"]
        )
    address, key = servers[name]
    connection = Client(address, family="AF_UNIX", authkey=bytes.fromhex(key))

    def score(batch: Batch) -> Tensor:
        connection.send(_texts(batch))
        answer = connection.recv()
        if isinstance(answer, str):
            raise StabbenchError(f"the callable failed: {answer}")
        with np.errstate(divide="ignore"):
            return torch.from_numpy(np.log(answer[:, list(order)]))

    return Subject(CharacterTokenizer(), score, tuple(classes), LONGEST)


def checked_probabilities(found: object, n: int) -> np.ndarray:
    """Return what a callable gave for n texts as an (n, C) float64 array.

    Raises:
        ConfigurationError: it is none, or its rows are no probabilities; NaN is let through: it is data.
    """
    try:
        array = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError) as error:
        message = f"the callable gave {type(found).__name__}, expected (texts, classes) numbers"
        raise ConfigurationError([message]) from error
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] < 2:
        shape = "×".join(map(str, array.shape)) or "a single number"
        raise ConfigurationError([f"the callable gave {shape} for {n} texts, expected {n}×C probabilities, C ≥ 2"])
    known = array[np.isfinite(array).all(axis=1)]
    if (known < -1e-6).any() or not np.allclose(known.sum(axis=1), 1.0, atol=1e-3):
        raise ConfigurationError(["the callable's rows do not sum to 1; give probabilities, not scores (softmax them)"])
    return np.maximum(array, 0.0)


class CharacterTokenizer:
    """Makes one number of each character, 1 above its code point; 0 is padding."""

    is_fast = True
    pad_token_id = 0
    pad_token_type_id = 0
    model_max_length = LONGEST

    def __call__(self, texts: Sequence[Text], *, max_length: int = LONGEST, **_: Any) -> dict[str, list[list[int]]]:
        """Return the numbers of each text, cut to `max_length`; padding and masks are the caller's."""
        return {"input_ids": [_numbers(text)[:max_length] for text in texts]}


def _numbers(text: Text) -> list[int]:
    if isinstance(text, str):
        return [ord(character) + 1 for character in text]
    return [*_numbers(text[0]), BETWEEN + 1, *_numbers(text[1])]


def _texts(batch: Batch) -> list[Text]:
    lengths = batch.attention_mask.sum(dim=1).tolist()
    return [_text(row[:length]) for row, length in zip(batch.input_ids.tolist(), lengths, strict=True)]


def _text(numbers: Sequence[int]) -> Text:
    codes = [number - 1 for number in numbers]
    if BETWEEN not in codes:
        return "".join(map(chr, codes))
    at = codes.index(BETWEEN)
    return "".join(map(chr, codes[:at])), "".join(map(chr, codes[at + 1 :]))
