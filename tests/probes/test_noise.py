"""The noise probe against its formulas, on a model whose answer is a word count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject
from stabbench.perturbations.keyboard import Keyboard
from stabbench.probes.base import Context
from stabbench.probes.noise import Noise
from stabbench.records import Measurement

SENTENCES = [f"the {'good ' * (i % 3)}{'bad ' * ((i + 1) % 3)}film number {i} was long" for i in range(30)]


@pytest.fixture(scope="module")
def counter(tiny_model: Path) -> tuple[Subject, list[int]]:
    """A model that answers 1 where “good” occurs more often than “bad”; and the batch sizes it was called with."""
    tokenizer = load_tokenizer(tiny_model)
    good, bad = tokenizer.convert_tokens_to_ids(["good", "bad"])
    calls: list[int] = []

    def score(batch: Batch) -> Tensor:
        calls.append(len(batch))
        ids = batch.input_ids
        logit = ((ids == good).sum(1) - (ids == bad).sum(1)).float()
        return torch.stack([torch.zeros_like(logit), logit - 0.5], dim=1)

    return Subject(tokenizer, score, ("no", "yes"), 64), calls


def dataset(texts: Sequence[str] = SENTENCES) -> Dataset:
    test = tuple(Example(f"t:{i}", text, int(text.count("good") > text.count("bad"))) for i, text in enumerate(texts))
    return Dataset((), (), test, ("no", "yes"), "fingerprint")


def values(measured: Sequence[Measurement]) -> dict[tuple[object, ...], float | None]:
    return {(m.metric, *m.at.values()): m.value for m in measured}


def test_every_number_equals_its_formula_on_the_stored_answers(
    counter: tuple[Subject, list[int]], tmp_path: Path
) -> None:
    measured = Noise(examples=20).measure(counter[0], Context(dataset(), tmp_path))
    found, stored = values(measured), np.load(tmp_path / "noise.npz")

    predicted, clean, label = stored["predicted"], stored["clean"], stored["label"]
    assert predicted.shape == stored["no_op"].shape == (4, 3, 20)
    for k, kind in enumerate(stored["kinds"].tolist()):
        for s, severity in enumerate(stored["severities"].tolist()):
            right = [p == y for p, y in zip(predicted[k, s], label, strict=True)]
            flips = [p != c for p, c in zip(predicted[k, s], clean, strict=True)]
            assert found["noise.accuracy", kind, severity] == pytest.approx(sum(right) / 20)
            assert found["noise.flip_rate", kind, severity] == pytest.approx(sum(flips) / 20)
            assert found["noise.no_op_share", kind, severity] == pytest.approx(sum(stored["no_op"][k, s]) / 20)
    assert found["noise.accuracy",] == pytest.approx((predicted == label[None, None]).mean())
    assert found["noise.flip_rate",] == pytest.approx((predicted != clean[None, None]).mean())
    worst = [clean[i] == label[i] and set(predicted[:, :, i].ravel()) == {label[i]} for i in range(20)]
    assert found["noise.worst_case",] == pytest.approx(sum(worst) / 20)
    assert 0 < sum(worst) < 20
    assert {(m.n_used, m.n_planned) for m in measured} == {(20, 20)}


def test_answers_are_those_to_the_perturbed_text_of_each_example(
    counter: tuple[Subject, list[int]], tmp_path: Path
) -> None:
    data = dataset()
    Noise(kinds=("keyboard",), severities=(5, 1), examples=30).measure(counter[0], Context(data, tmp_path))
    stored = np.load(tmp_path / "noise.npz")

    by_id = {example.id: example for example in data.test}
    for name, answer, clean in zip(stored["example"].tolist(), stored["predicted"][0, 0], stored["clean"], strict=True):
        words = Keyboard().perturb(by_id[name].text, 5, name, 0).lower().split()
        assert answer == int(words.count("good") > words.count("bad"))
        assert clean == by_id[name].label
    # The vocabulary spells unknown words by character, so token ids stay only where the text does.
    same = [[Keyboard().perturb(by_id[n].text, s, n, 0) == by_id[n].text for n in stored["example"]] for s in (5, 1)]
    assert stored["no_op"][0].tolist() == same
    assert any(same[1])


def test_texts_with_equal_token_ids_are_scored_once_and_in_one_pass(
    counter: tuple[Subject, list[int]], tmp_path: Path
) -> None:
    subject, calls = counter
    calls.clear()
    Noise(kinds=("keyboard",), severities=(1, 2), examples=30).measure(subject, Context(dataset(), tmp_path))
    stored = np.load(tmp_path / "noise.npz")

    texts = {e.text for e in dataset().test} | {
        Keyboard().perturb(e.text, s, e.id, 0).lower() for e in dataset().test for s in (1, 2)
    }
    assert stored["no_op"].any()
    assert sum(calls) == len(texts) < 90
    assert calls[:-1] == [32] * (len(calls) - 1)


def test_the_same_texts_whatever_the_order_of_the_split(counter: tuple[Subject, list[int]], tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    data = dataset()
    probe = Noise(examples=10)

    probe.measure(counter[0], Context(data, first))
    probe.measure(counter[0], Context(replace(data, test=data.test[::-1]), second))
    Noise(examples=20).measure(counter[0], Context(data, tmp_path))

    one, two, more = (np.load(folder / "noise.npz") for folder in (first, second, tmp_path))
    assert all(np.array_equal(one[name], two[name]) for name in one.files)
    assert np.array_equal(one["predicted"], more["predicted"][:, :, :10])


def test_both_sentences_of_a_pair_are_perturbed_by_draws_of_their_own(
    counter: tuple[Subject, list[int]], tmp_path: Path
) -> None:
    test = tuple(Example(f"p:{i}", "good good film", 1, "good good film") for i in range(40))
    Noise(kinds=("word_drop",), severities=(5,)).measure(
        counter[0], Context(Dataset((), (), test, ("no", "yes"), ""), tmp_path)
    )

    from stabbench.perturbations.word_drop import WordDrop
    from stabbench.probes.noise import perturbed

    noisy = [perturbed(example, WordDrop(), 5, 0) for example in test]
    assert any(pair[0] != pair[1] for pair in noisy)
    assert any(pair[0] != "good good film" for pair in noisy)
    assert any(pair[1] != "good good film" for pair in noisy)


def test_the_worst_case_counts_the_clean_text_too(counter: tuple[Subject, list[int]], tmp_path: Path) -> None:
    """A model that is wrong on clean texts alone: every noisy answer is right and a flip, and no example is robust."""
    plain = counter[0]
    known = {tuple(plain.encode([text]).input_ids[0].tolist()) for text in SENTENCES}

    def score(batch: Batch) -> Tensor:
        rows = [ids[mask == 1].tolist() for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)]
        return torch.tensor([[0.0, -1.0 if tuple(row) in known else 1.0] for row in rows])

    data = dataset()
    data = replace(data, test=tuple(replace(example, label=1) for example in data.test))
    probe = Noise(kinds=("homoglyph",), severities=(5,), examples=30)
    found = values(probe.measure(Subject(plain.tokenizer, score, *_rest(plain)), Context(data, tmp_path)))

    assert (
        found["noise.accuracy",]
        == found["noise.flip_rate",]
        == 1.0 - float(found["noise.no_op_share", "homoglyph", 5] or 0)
    )
    assert found["noise.accuracy",] > 0.9
    assert found["noise.worst_case",] == 0.0


def test_a_diverged_model_has_no_right_answers_and_no_flips(counter: tuple[Subject, list[int]], tmp_path: Path) -> None:
    diverged = Subject(counter[0].tokenizer, lambda batch: torch.full((len(batch), 2), torch.nan), ("no", "yes"), 64)

    found = values(Noise(examples=5).measure(diverged, Context(dataset(), tmp_path)))

    assert found["noise.accuracy",] == found["noise.flip_rate",] == found["noise.worst_case",] == 0.0


def test_a_compressed_subject_that_answers_otherwise_in_a_batch_is_asked_one_by_one(
    counter: tuple[Subject, list[int]], tmp_path: Path
) -> None:
    plain, calls = counter
    unsteady = Subject(
        plain.tokenizer, lambda batch: plain.logits(batch) * (1 if len(batch) == 1 else -1), *_rest(plain)
    )
    steady = Subject(plain.tokenizer, plain.logits, *_rest(plain))
    for subject, sizes in ((unsteady, {1}), (steady, {32})):
        calls.clear()
        Noise(examples=30).measure(subject, Context(dataset(), tmp_path, dense=plain))
        assert set(calls[31:-1]) == sizes, "after 30 texts alone and 30 together"


def _rest(subject: Subject) -> tuple[tuple[str, ...], int]:
    return subject.classes, subject.max_length


def test_an_unknown_kind_is_named_with_what_is_allowed(counter: tuple[Subject, list[int]], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"unknown perturbation 'keybord'\. Did you mean 'keyboard'\?"):
        Noise(kinds=("keybord",)).measure(counter[0], Context(dataset(), tmp_path))
