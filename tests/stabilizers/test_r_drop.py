"""R-Drop against its equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import Tensor, nn

from stabbench.models.batch import Batch
from stabbench.stabilizers.r_drop import RDrop, symmetric_divergence
from stabbench.training.loop import cross_entropy

FIRST = np.array([[2.0, -1.0], [0.3, 0.4], [-3.0, 1.0]])
SECOND = np.array([[1.0, 0.0], [0.9, -0.4], [-2.0, 2.5]])
LABELS = [0, 1, 1]


def batch() -> Batch:
    ids = torch.ones(3, 2, dtype=torch.int64)
    return Batch(ids, ids, labels=torch.tensor(LABELS))


def passes(given: Batch, draw: int = 0) -> Tensor:
    """Stand in for a model with dropout: draw 0 and draw 1 have different masks."""
    return torch.tensor([FIRST, SECOND][draw])


def test_the_divergence_is_the_mean_over_examples_of_half_the_sum_of_both_directions() -> None:
    p, q = softmax(FIRST, axis=1), softmax(SECOND, axis=1)
    expected = 0.5 * (rel_entr(p, q).sum(axis=1) + rel_entr(q, p).sum(axis=1)).mean()

    found = symmetric_divergence(torch.tensor(FIRST), torch.tensor(SECOND))

    assert float(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 4.0])
def test_the_objective_is_the_mean_cross_entropy_plus_alpha_times_the_divergence(alpha: float) -> None:
    p, q = softmax(FIRST, axis=1), softmax(SECOND, axis=1)
    both = [-np.log(r[range(3), LABELS]).mean() for r in (p, q)]
    divergence = 0.5 * (rel_entr(p, q).sum(axis=1) + rel_entr(q, p).sum(axis=1)).mean()

    objective = RDrop(alpha=alpha).wrap_loss(cross_entropy)(passes, batch())

    assert float(objective.total) == pytest.approx(np.mean(both) + alpha * divergence, rel=1e-6)
    assert float(objective.cross_entropy) == pytest.approx(both[0], rel=1e-6), "the trace keeps the plain loss"


def test_gradients_flow_into_both_passes() -> None:
    logits = nn.Parameter(torch.tensor(np.stack([FIRST, SECOND])))

    def forward(given: Batch, draw: int = 0) -> Tensor:
        return logits[draw]

    RDrop(alpha=1.0).wrap_loss(cross_entropy)(forward, batch()).total.backward()

    assert logits.grad is not None
    assert (logits.grad.abs().sum(dim=(1, 2)) > 0).all()
