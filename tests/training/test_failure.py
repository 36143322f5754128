"""The failed-run rule of DESIGN §2, at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from stabbench.training.failure import failure_reason, matthews

TRUTH = [0] * 6 + [1] * 4


def sure(answers: list[int]) -> np.ndarray:
    return np.eye(2)[answers]


def answers(right: int) -> list[int]:
    """Return ten answers of which `right` are right, never all of one class."""
    wrong = 10 - right
    return [1 - label if index < wrong else label for index, label in enumerate(TRUTH)]


@pytest.mark.parametrize(("right", "failed"), [(6, True), (7, True), (8, False)])
def test_accuracy_fails_up_to_majority_share_plus_one_example(right: int, failed: bool) -> None:
    """Majority 6/10, so 7/10 still fails and 8/10 does not."""
    reason = failure_reason(TRUTH, sure(answers(right)), "accuracy", True)

    assert (reason is not None) == failed


def test_where_mcc_is_the_metric_it_is_judged_instead_of_accuracy() -> None:
    truth = [0] * 90 + [1] * 10
    # 85 of 90 and 5 of 10 right: accuracy 0.90 ≤ 0.91, MCC about 0.44.
    predicted = [0] * 85 + [1] * 5 + [0] * 5 + [1] * 5

    assert failure_reason(truth, sure(predicted), "accuracy", True) is not None
    assert failure_reason(truth, sure(predicted), "mcc", True) is None
    assert failure_reason(truth, sure(predicted[::-1]), "mcc", True) is not None


@pytest.mark.parametrize(("share", "failed"), [(98, False), (99, True), (100, True)])
def test_one_class_for_99_percent_fails_under_either_metric(share: int, failed: bool) -> None:
    """All true labels but `100 − share` are class 0 and every answer is right, so nothing else can fail."""
    truth = [0] * share + [1] * (100 - share)

    reason = failure_reason(truth, sure(truth), "mcc", True)

    assert (reason is not None and "one class" in reason) == failed


def test_a_loss_or_a_prediction_that_is_not_finite_fails() -> None:
    assert "NaN" in (failure_reason(TRUTH, sure(TRUTH), "accuracy", False) or "")
    broken = sure(TRUTH)
    broken[3] = np.nan
    assert "not finite" in (failure_reason(TRUTH, broken, "accuracy", True) or "")


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
def test_mcc_equals_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(values) for values in zip(*pairs, strict=True))
    assume(len({*truth, *predicted}) > 1)  # scikit-learn warns of a single label

    assert matthews(truth, predicted) == pytest.approx(matthews_corrcoef(truth, predicted), abs=1e-9)
