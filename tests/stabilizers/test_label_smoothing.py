"""Label smoothing against its equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from stabbench.models.batch import Batch
from stabbench.stabilizers.label_smoothing import LabelSmoothing, uniform_cross_entropy
from stabbench.stabilizers.r_drop import RDrop
from stabbench.training.loop import cross_entropy

LOGITS = np.array([[2.0, -1.0, 0.5], [0.3, 0.4, 0.0], [-3.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
OTHER = LOGITS[::-1].copy()
LABELS = [0, 1, 1, 2]


def batch() -> Batch:
    ids = torch.ones(4, 2, dtype=torch.int64)
    return Batch(ids, ids, labels=torch.tensor(LABELS))


def forward(given: Batch, draw: int = 0) -> Tensor:
    return torch.tensor([LOGITS, OTHER][draw])


def smoothed(logits: np.ndarray, epsilon: float) -> float:
    """−Σ_k q_k log p_k with q = (1 − ε) onehot + ε/K, averaged over the batch."""
    target = np.full(logits.shape, epsilon / 3)
    target[range(len(LABELS)), LABELS] += 1 - epsilon
    return float(-(target * log_softmax(logits, axis=1)).sum(axis=1).mean())


@pytest.mark.parametrize("epsilon", [0.05, 0.1, 0.5])
def test_the_objective_is_the_cross_entropy_with_the_smoothed_target(epsilon: float) -> None:
    objective = LabelSmoothing(epsilon=epsilon).wrap_loss(cross_entropy)(forward, batch())

    assert float(objective.total) == pytest.approx(smoothed(LOGITS, epsilon), rel=1e-9)


def test_the_trace_keeps_the_plain_cross_entropy() -> None:
    objective = LabelSmoothing(epsilon=0.3).wrap_loss(cross_entropy)(forward, batch())

    assert float(objective.cross_entropy) == pytest.approx(smoothed(LOGITS, 0.0), rel=1e-9)
    np.testing.assert_array_equal(objective.logits.numpy(), LOGITS)


def test_places_without_a_label_do_not_count() -> None:
    labels = torch.tensor([[0, -100], [-100, 2]])
    logits = torch.tensor(LOGITS).view(2, 2, 3)

    found = float(uniform_cross_entropy(logits, labels))

    assert found == pytest.approx(-log_softmax(LOGITS[[0, 3]], axis=1).mean(), rel=1e-9)


def test_listed_before_r_drop_it_smooths_both_passes() -> None:
    smooth = LabelSmoothing(epsilon=0.2).wrap_loss(cross_entropy)

    objective = RDrop(alpha=0.0).wrap_loss(smooth)(forward, batch())

    expected = 0.5 * (smoothed(LOGITS, 0.2) + smoothed(OTHER, 0.2))
    assert float(objective.total) == pytest.approx(expected, rel=1e-9)
    assert float(objective.cross_entropy) == pytest.approx(smoothed(LOGITS, 0.0), rel=1e-9)
