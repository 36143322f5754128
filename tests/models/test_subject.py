"""A subject's probabilities do not depend on company, order or padding, and are computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stabbench.data.example import Example
from stabbench.models.loading import load_pretrained
from stabbench.models.subject import Subject, torch_logits
from stabbench.seeding import TrialSeeds

TEXTS = ["a", "the film was good and long and never dull", "bad", ("a pair", "of texts"), "so much love for the story"]


@pytest.fixture(scope="module")
def subject(tiny_model: Path) -> Subject:
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    return Subject(tokenizer, torch_logits(model.eval()), ("no", "yes"), 12, model)


def test_rows_stand_in_the_order_of_the_texts_whatever_the_batches(subject: Subject) -> None:
    alone = np.concatenate([subject.probabilities([text]) for text in TEXTS])

    for size in (1, 2, 32):
        np.testing.assert_allclose(subject.probabilities(TEXTS, batch_size=size), alone, atol=1e-6)
    assert len(np.unique(alone.round(6), axis=0)) == len(TEXTS)


def test_probabilities_are_float64_rows_that_sum_to_one(subject: Subject) -> None:
    rows = subject.probabilities(TEXTS)

    assert rows.dtype == np.float64
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)


def test_no_texts_give_no_rows(subject: Subject) -> None:
    assert subject.probabilities([]).shape == (0, 2)


def test_encoding_pads_on_the_right_and_cuts_at_the_subjects_length(subject: Subject) -> None:
    batch = subject.encode(["good", "the film was good and long and never dull and so on and on"])

    assert batch.input_ids.shape == (2, 12)
    assert batch.attention_mask[0].tolist() == [1, 1, 1] + [0] * 9
    assert batch.input_ids[0, 3:].tolist() == [subject.tokenizer.pad_token_id] * 9


def test_the_segments_of_a_pair_are_told_apart(subject: Subject) -> None:
    batch = subject.encode([("good", "bad")])

    assert batch.token_type_ids is not None
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 1, 1]]


def test_predictions_of_the_same_examples_are_made_once(subject: Subject) -> None:
    examples = [Example("1", "good", 0), Example("2", "bad", 1)]
    calls = []
    counted = Subject(subject.tokenizer, lambda batch: calls.append(1) or subject.logits(batch), subject.classes, 12)

    first, second = counted.predict(examples), counted.predict(examples)

    assert first is second
    assert len(calls) == 1
