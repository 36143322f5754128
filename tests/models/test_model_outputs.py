"""Exchanged outputs are the same answers under other columns; a callable is its probabilities."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Listener
from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench.errors import ConfigurationError, StabbenchError
from stabbench.models.outputs import reorder_outputs
from stabbench.models.served import CharacterTokenizer, checked_probabilities, served_subject
from stabbench.suite.checkpoints import SERVERS


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 0, 2]])
def test_output_j_becomes_what_output_order_j_was(tiny_model: Path, order: list[int]) -> None:
    from stabbench.models.loading import load_pretrained
    from stabbench.models.subject import Subject, torch_logits
    from stabbench.seeding import TrialSeeds

    model, tokenizer = load_pretrained(tiny_model, ("a", "b", "c"), TrialSeeds(1, 1))
    subject = Subject(tokenizer, torch_logits(model.eval()), ("a", "b", "c"), 32, model)
    texts = ["a fine film", "dull"]
    before = subject.probabilities(texts)

    reorder_outputs(model, order, subject.encode(texts))

    np.testing.assert_allclose(subject.probabilities(texts), before[:, order], atol=1e-6)


def test_a_model_without_such_a_layer_is_refused(tiny_model: Path) -> None:
    from stabbench.models.loading import load_pretrained
    from stabbench.models.subject import Subject, torch_logits
    from stabbench.seeding import TrialSeeds

    model, tokenizer = load_pretrained(tiny_model, ("a", "b"), TrialSeeds(1, 1))
    subject = Subject(tokenizer, torch_logits(model.eval()), ("a", "b"), 32, model)
    model.classifier = torch.nn.Identity()  # type: ignore[assignment]
    model.classifier.register_parameter("unused", torch.nn.Parameter(torch.zeros(1)))

    with pytest.raises(ConfigurationError, match="stand in another order"):
        reorder_outputs(model, [1, 0], subject.encode(["a film"]))


TEXTS = ["plain", "", "\N{PILE OF POO} \x00 \u202eright to left", ("a pair", "of two"), ("", "")]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Serve answers of the number of characters, and note the texts asked."""
    asked: list[object] = []
    listener = Listener(family="AF_UNIX", authkey=b"key")

    def answer() -> None:
        with listener.accept() as connection, suppress(EOFError):
            while True:
                texts = connection.recv()
                asked.extend(texts)
                share = [min(1.0, len(str(text)) / 40) for text in texts]
                connection.send("no" if "fail" in texts else np.array([[1 - p, p] for p in share]))

    threading.Thread(target=answer, daemon=True).start()
    monkeypatch.setenv(SERVERS, json.dumps({"callable:x": [listener.address, b"key".hex()]}))
    yield asked
    listener.close()


def test_a_callable_is_asked_the_very_texts_and_its_probabilities_come_back(serve: list[object]) -> None:
    subject = served_subject("callable:x", ("no", "yes"), [1, 0])

    found = subject.probabilities(TEXTS)

    assert sorted(map(str, serve)) == sorted(map(str, TEXTS))
    expected = np.array([[p, 1 - p] for p in (min(1.0, len(str(text)) / 40) for text in TEXTS)])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(StabbenchError, match="the callable failed: no"):
        subject.probabilities(["fail"])


def test_a_callable_that_nobody_serves_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVERS, raising=False)

    with pytest.raises(ConfigurationError, match="has ended"):
        served_subject("callable:gone", ("a", "b"), [0, 1])


def test_a_long_text_is_not_cut() -> None:
    assert len(CharacterTokenizer()(["x" * 10_000])["input_ids"][0]) == 10_000


def test_probabilities_that_are_not_finite_are_data() -> None:
    found = checked_probabilities([[float("nan"), 0.5], [0.25, 0.75]], 2)

    assert np.isnan(found[0, 0])
    assert found[1].tolist() == [0.25, 0.75]
