"""Labels in the wrong order are noticed from the answers, and only where exchanging them would help much."""

from __future__ import annotations

import numpy as np
import pytest

from stabbench.execution.audited import order_doubt


def test_exchanged_labels_are_noticed_and_named() -> None:
    label = np.array([0, 1] * 50)
    predicted = np.where(np.arange(100) < 90, 1 - label, label)

    told = order_doubt(label, predicted, ["no", "yes"])

    assert told is not None
    assert "accuracy is 0.100, and would be 0.900" in told
    assert "'no' for 'yes'" in told


@pytest.mark.parametrize("share", [0.5, 0.7, 1.0])
def test_a_model_that_is_right_as_it_is_raises_no_doubt(share: float) -> None:
    label = np.array([0, 1, 2] * 30)
    predicted = np.where(np.arange(90) < 90 * share, label, (label + np.arange(90) % 2 + 1) % 3)

    assert order_doubt(label, predicted, ["a", "b", "c"]) is None


def test_answers_that_are_none_and_no_answers_are_no_reason_to_doubt() -> None:
    assert order_doubt(np.array([0, 1]), np.array([-1, -1]), ["a", "b"]) is None
    assert order_doubt(np.array([], dtype=int), np.array([], dtype=int), ["a", "b"]) is None
