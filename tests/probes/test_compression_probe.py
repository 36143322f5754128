"""Loyalty and flips against independent formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.spatial.distance import jensenshannon
from statsmodels.stats.proportion import proportion_confint
from tokenizers.normalizers import Replace
from torch import Tensor

from stabbench.data.example import Dataset, Example
from stabbench.models.batch import Batch
from stabbench.models.loading import load_tokenizer
from stabbench.models.subject import Subject
from stabbench.probes.base import Context
from stabbench.probes.compression import Compression, probability_loyalty

rows = arrays.arrays(np.float64, (4, 3), elements=st.floats(0.0, 1.0)).map(
    lambda x: (x + 1e-6) / (x + 1e-6).sum(1)[:, None]
)


@given(rows, rows)
def test_probability_loyalty_is_one_minus_scipys_distance_in_base_two(p: np.ndarray, q: np.ndarray) -> None:
    found = probability_loyalty(p, q)

    with np.errstate(invalid="ignore"):  # scipy takes the root of -1e-17 where rows are equal
        distance = np.nan_to_num(jensenshannon(p, q, base=2, axis=1))
    assert found == pytest.approx(1 - distance.mean(), abs=1e-6)
    assert found == pytest.approx(probability_loyalty(q, p), abs=1e-12)


def test_loyalty_is_one_for_equal_and_zero_for_disjoint_answers() -> None:
    p = np.array([[1.0, 0.0], [0.3, 0.7]])

    assert probability_loyalty(p, p) == 1.0
    assert probability_loyalty(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == pytest.approx(0.0)


def _subject(tokenizer: object, folder: Path, score: object) -> Subject:
    return Subject(tokenizer, score, ("no", "yes"), 16, folder=folder)  # type: ignore[arg-type]


def _measure(tiny_model: Path, tmp_path: Path, dense: object, after: object, few: int) -> dict[str, float | None]:
    """Measure on 8 texts of 1 … 8 words; even ones have label 0."""
    tokenizer = load_tokenizer(tiny_model)
    for name, size in (("dense", 400), ("small", 100)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_bytes(bytes(size))
    test = tuple(Example(f"t:{i}", " ".join(["film"] * (i + 1)), i % 2) for i in range(8))
    context = Context(
        Dataset((), (), test, ("no", "yes"), ""), tmp_path, dense=_subject(tokenizer, tmp_path / "dense", dense)
    )
    measured = Compression(few).measure(_subject(tokenizer, tmp_path / "small", after), context)
    return {m.metric.removeprefix("compression."): m.value for m in measured}


def _answers(right: set[int]) -> object:
    """A scorer that gives text i its label i % 2 where i is in `right`, else the other."""

    def score(batch: Batch) -> Tensor:
        index = batch.attention_mask.sum(1) - 3  # [CLS] and [SEP], and text 0 has one word
        says = torch.tensor([i % 2 if i in right else 1 - i % 2 for i in index.tolist()])
        return torch.nn.functional.one_hot(says, 2).float() * 4

    return score


def test_flips_are_told_apart_by_which_side_was_right(tiny_model: Path, tmp_path: Path) -> None:
    found = _measure(tiny_model, tmp_path, _answers({0, 1, 2, 3, 4}), _answers({3, 4, 5}), 8)

    assert found["negative_flips"] == 3 / 8
    assert found["positive_flips"] == 1 / 8
    assert found["flip_rate"] == 4 / 8
    assert found["label_loyalty"] == 4 / 8
    assert found["batch_flip_rate"] == 0.0
    assert found["size"] == 100.0
    assert found["size_ratio"] == 0.25
    low, high = proportion_confint(4, 8, method="wilson")
    assert (found["flip_rate_low"], found["flip_rate_high"]) == (pytest.approx(low), pytest.approx(high))
    assert found["padding_flip_rate"] == 0.0
    assert found["uncovered_texts"] == 0.0


def test_batch_flips_are_answers_that_depend_on_the_company(tiny_model: Path, tmp_path: Path) -> None:
    def by_longest(batch: Batch) -> Tensor:
        """A text answers yes if a longer one shares its batch."""
        yes = batch.attention_mask.sum(1) < batch.input_ids.shape[1]
        return torch.stack([~yes, yes], dim=1).float() * 4

    found = _measure(tiny_model, tmp_path, _answers({0}), by_longest, 4)

    assert found["batch_flip_rate"] == 3 / 4
    # Padding alone does it: the longest of the four is the only one that is never padded.
    assert found["padding_flip_rate"] == 3 / 4
    assert found["nondeterminism"] == 0.0
    with np.load(tmp_path / "compression.npz") as stored:
        assert stored["batch_one"].tolist() == [0, 0, 0, 0, -2, -2, -2, -2]
        assert stored["predicted"].tolist() == [1, 1, 1, 1, 1, 1, 1, 0]


def test_a_diverged_pair_agrees_in_having_no_answer(tiny_model: Path, tmp_path: Path) -> None:
    def nothing(batch: Batch) -> Tensor:
        return torch.full((len(batch), 2), torch.nan)

    found = _measure(tiny_model, tmp_path, nothing, nothing, 8)

    assert found["flip_rate"] == 0.0
    assert found["negative_flips"] == 0.0
    loyalty = found["probability_loyalty"]
    assert loyalty is not None
    assert np.isnan(loyalty)


def test_calibration_change_is_the_difference_of_two_calibration_errors(tiny_model: Path, tmp_path: Path) -> None:
    """Before, 5 of 8 right at confidence p; after, 3 of 8: one bin each, so ECE is |share right − p|."""
    found = _measure(tiny_model, tmp_path, _answers({0, 1, 2, 3, 4}), _answers({3, 4, 5}), 8)

    p = np.exp(4) / (np.exp(4) + 1)
    assert found["ece_change"] == pytest.approx(abs(3 / 8 - p) - abs(5 / 8 - p), abs=1e-6)


def test_answers_that_change_when_asked_again_are_counted(tiny_model: Path, tmp_path: Path) -> None:
    calls = iter(range(1000))

    def drifts(batch: Batch) -> Tensor:
        return torch.full((len(batch), 2), 1.0) * torch.tensor([1.0, 1.0 + 1e-3 * next(calls)])

    found = _measure(tiny_model, tmp_path, _answers({0}), drifts, 4)

    assert found["nondeterminism"] == 1.0


def test_texts_that_another_tokenizer_cuts_otherwise_are_counted(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer, other = load_tokenizer(tiny_model), load_tokenizer(tiny_model)
    other.backend_tokenizer.normalizer = Replace("film", "films")
    test = tuple(Example(f"t:{i}", text, 0) for i, text in enumerate(["a film", "dull", "good", "the film"]))
    (tmp_path / "x").mkdir()
    score = _answers({0})
    dense, after = (Subject(t, score, ("no", "yes"), 16, folder=tmp_path / "x") for t in (tokenizer, other))  # type: ignore[arg-type]
    (tmp_path / "x" / "weights").write_bytes(b"1")

    rows = Compression(4).measure(after, Context(Dataset((), (), test, ("no", "yes"), ""), tmp_path, dense=dense))

    assert {m.metric: m.value for m in rows}["compression.uncovered_texts"] == 0.5
