"""R-Drop against its equation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from torch import Tensor, nn

from stabbench.models.batch import Batch
from stabbench.stabilizers._divergence import symmetric_kl
from stabbench.stabilizers.r_drop import RDrop
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


def test_the_symmetric_divergence_of_each_example_is_the_sum_of_both_directions() -> None:
    p, q = softmax(FIRST, axis=1), softmax(SECOND, axis=1)
    expected = rel_entr(p, q).sum(axis=1) + rel_entr(q, p).sum(axis=1)

    found = symmetric_kl(torch.tensor(FIRST), torch.tensor(SECOND))

    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def test_certain_predictions_have_a_finite_divergence() -> None:
    """A softmax that underflows to 0 in float32 has a logarithm that does not."""
    found = symmetric_kl(torch.tensor([[200.0, 0.0]]), torch.tensor([[0.0, 200.0]]))

    assert float(found) == pytest.approx(400.0)


@pytest.mark.parametrize("legacy_bug", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 4.0])
def test_the_objective_is_the_mean_cross_entropy_plus_alpha_times_the_divergence(
    alpha: float, legacy_bug: bool
) -> None:
    """Averaged over the batch; summed in the released code, so three times as much for three examples."""
    p, q = softmax(FIRST, axis=1), softmax(SECOND, axis=1)
    both = [-np.log(r[range(3), LABELS]).mean() for r in (p, q)]
    of_examples = 0.5 * (rel_entr(p, q).sum(axis=1) + rel_entr(q, p).sum(axis=1))
    divergence = of_examples.sum() if legacy_bug else of_examples.mean()

    objective = RDrop(alpha=alpha, legacy_bug=legacy_bug).wrap_loss(cross_entropy)(passes, batch())

    assert float(objective.total) == pytest.approx(np.mean(both) + alpha * divergence, rel=1e-6)
    assert float(objective.cross_entropy) == pytest.approx(both[0], rel=1e-6), "the trace keeps the plain loss"


def test_gradients_flow_into_both_passes() -> None:
    logits = nn.Parameter(torch.tensor(np.stack([FIRST, SECOND])))

    def forward(given: Batch, draw: int = 0) -> Tensor:
        return logits[draw]

    RDrop(alpha=1.0).wrap_loss(cross_entropy)(forward, batch()).total.backward()

    assert logits.grad is not None
    assert (logits.grad.abs().sum(dim=(1, 2)) > 0).all()
