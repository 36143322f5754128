"""Accuracy and calibration against independent formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabbench.data.example import Dataset, Example
from stabbench.models.subject import Subject
from stabbench.probes.accuracy import Accuracy, expected_calibration_error
from stabbench.probes.base import Context

LABELS = [0, 0, 0, 1, 1, 2]
# Predicted: 0 0 1 1 2 2.
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4], [0.0, 0.05, 0.95]]
)


def _dataset(labels: list[int]) -> Dataset:
    test = tuple(Example(f"t:{i}", f"text {i}", label) for i, label in enumerate(labels))
    return Dataset((), (), test, ("a", "b", "c"), "fingerprint")


def _measure(probabilities: np.ndarray, labels: list[int], folder: Path) -> dict[str, float | None]:
    dataset = _dataset(labels)
    subject = Subject(None, lambda batch: pytest.fail("not scored"), dataset.classes, 8)
    subject._memo[tuple(example.id for example in dataset.test)] = probabilities
    measured = Accuracy().measure(subject, Context(dataset, folder))
    assert all(m.n_used == m.n_planned == len(labels) for m in measured)
    return {m.metric: m.value for m in measured}


def test_each_number_equals_its_formula(tmp_path: Path) -> None:
    """F1 by class: 2·2/(4+1), 2·1/(2+2), 2·1/(2+1); MCC = cov/√(cov·cov) over indicator columns (Gorodkin 2004)."""
    found = _measure(PROBABILITIES, LABELS, tmp_path)

    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    truth, answer = np.eye(3)[LABELS], np.eye(3)[[0, 0, 1, 1, 2, 2]]
    truth, answer = truth - truth.mean(0), answer - answer.mean(0)
    assert found["mcc"] == pytest.approx((truth * answer).sum() / np.sqrt((truth**2).sum() * (answer**2).sum()))
    assert found["majority_share"] == pytest.approx(2 / 6)


def test_calibration_error_equals_the_mean_gap_over_hand_made_bins() -> None:
    """With 2 bins: (0, .5] holds .4 (wrong); (.5, 1] holds .9 .6 .8 .95 (right) and .7 (wrong)."""
    found = expected_calibration_error(PROBABILITIES, np.array(LABELS), 2)

    upper = 5 / 6 * abs(4 / 5 - np.mean([0.9, 0.6, 0.8, 0.95, 0.7]))
    assert found == pytest.approx(1 / 6 * 0.4 + upper)


@given(st.lists(st.floats(0.5, 1.0), min_size=1, max_size=30), st.integers(1, 20))
def test_calibration_error_with_one_bin_is_the_gap_of_the_means_and_more_bins_never_lower_it(
    confidences: list[float], bins: int
) -> None:
    p = np.array(confidences)
    probabilities = np.stack([p, 1 - p], axis=1)
    labels = (np.arange(len(p)) % 3 == 0).astype(int)

    coarse = expected_calibration_error(probabilities, labels, 1)

    assert coarse == pytest.approx(abs(np.mean(probabilities.argmax(1) == labels) - p.mean()), abs=1e-12)
    assert coarse - 1e-12 <= expected_calibration_error(probabilities, labels, bins) <= 1.0


def test_a_diverged_model_is_always_wrong_and_counts_as_collapsed(tmp_path: Path) -> None:
    found = _measure(np.full((6, 3), np.nan), LABELS, tmp_path)

    ece = found.pop("ece")
    assert ece is not None
    assert np.isnan(ece)
    assert found == {"accuracy": 0.0, "macro_f1": 0.0, "mcc": 0.0, "majority_share": 1.0}


def test_stored_predictions_repeat_the_numbers(tmp_path: Path) -> None:
    found = _measure(PROBABILITIES, LABELS, tmp_path)

    with np.load(tmp_path / "predictions.npz") as stored:
        assert stored["example"].tolist() == [f"t:{i}" for i in range(6)]
        assert stored["classes"].tolist() == ["a", "b", "c"]
        assert stored["probabilities"].dtype == np.float32
        assert found["accuracy"] == np.mean(stored["predicted"] == stored["label"])
