"""The kept gradient table equals a fresh dense one, step after step, and rows of earlier steps are gone."""

from __future__ import annotations

import torch
from torch import nn

from stabbench.training.embedding_gradient import EmbeddingGradient


def test_every_steps_gradient_equals_the_dense_one() -> None:
    torch.manual_seed(0)
    kept, fresh = nn.Embedding(50, 4, padding_idx=0), nn.Embedding(50, 4, padding_idx=0)
    fresh.load_state_dict(kept.state_dict())
    collector = EmbeddingGradient(kept)

    for step in range(4):
        ids = torch.randint(0, 50, (3, 5), generator=torch.Generator().manual_seed(step))
        weight = torch.randn(3, 5, 4)
        for table in (kept, fresh):
            table.zero_grad(set_to_none=True)
        with collector.collected():
            (kept(ids) * weight).sum().backward()
            (kept(ids) * weight).sum().backward()
        (2 * (fresh(ids) * weight).sum()).backward()

        assert kept.weight.grad is not None
        assert not kept.weight.grad.is_sparse
        torch.testing.assert_close(kept.weight.grad, fresh.weight.grad)
        touched = collector.touched(kept.weight)
        assert touched is not None
        assert touched.shape[0] <= 15, "the rows of this step alone"
        torch.testing.assert_close(touched.norm(), fresh.weight.grad.norm())
    assert not kept.sparse


def test_another_parameters_gradient_and_a_replaced_one_are_given_whole() -> None:
    table, other = nn.Embedding(10, 2), nn.Linear(2, 1)
    collector = EmbeddingGradient(table)
    with collector.collected():
        other(table(torch.tensor([[1, 2]]))).sum().backward()

    assert collector.touched(other.weight) is other.weight.grad
    table.weight.grad = torch.ones(10, 2)
    assert collector.touched(table.weight) is table.weight.grad
    table.weight.grad = None
    assert collector.touched(table.weight) is None
