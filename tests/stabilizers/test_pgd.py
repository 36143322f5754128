"""PGD against its steps, written out with autograd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_step import TinyStep, halves, number, tiny_step
from torch import Tensor

from stabbench.models.batch import Batch
from stabbench.stabilizers._embeddings import movable, projected
from stabbench.stabilizers.pgd import Pgd


@pytest.fixture
def tiny(tiny_model_without_dropout: Path) -> TinyStep:
    return tiny_step(tiny_model_without_dropout)


def searched(tiny: TinyStep, batch: Batch, steps: int, alpha: float, epsilon: float) -> Tensor:
    """Return δ_K by the textbook: step along the normalised gradient, then back to the ball if outside, per example."""
    delta = np.zeros((*batch.input_ids.shape, 32))
    for _ in range(steps):
        point = torch.tensor(delta, dtype=torch.float32, requires_grad=True)
        (gradient,) = torch.autograd.grad(tiny.loss_of(batch, point), point)
        for row, g in enumerate(gradient.numpy()):
            delta[row] += alpha * g / np.linalg.norm(g)
            delta[row] *= min(1.0, epsilon / np.linalg.norm(delta[row]))
    return torch.tensor(delta, dtype=torch.float32)


@pytest.mark.parametrize(("steps", "alpha", "epsilon"), [(1, 0.5, 1.0), (3, 0.5, 1.0), (2, 2.0, 0.7)])
def test_the_gradient_is_that_of_the_batch_moved_by_k_projected_steps(
    tiny: TinyStep, steps: int, alpha: float, epsilon: float
) -> None:
    delta = searched(tiny, tiny.batch, steps, alpha, epsilon)
    expected = torch.autograd.grad(tiny.loss_of(tiny.batch, delta), list(tiny.model.parameters()))
    stabilizer = tiny.prepared(Pgd(epsilon=epsilon, steps=steps, step_size=alpha))

    found, reported = tiny.gradients(stabilizer, [tiny.batch])

    torch.testing.assert_close(found, list(expected), rtol=1e-3, atol=1e-6)
    assert number(reported.total) == pytest.approx(number(tiny.loss_of(tiny.batch)), rel=1e-5), "the clean loss"


def test_each_micro_batch_is_searched_on_its_own_and_only_the_last_pass_counts(tiny: TinyStep) -> None:
    batches = halves(tiny.batch)
    losses = [tiny.loss_of(part, searched(tiny, part, 2, 0.5, 0.6)) for part in batches]
    expected = torch.autograd.grad(torch.stack(losses).mean(), list(tiny.model.parameters()))

    found, _ = tiny.gradients(tiny.prepared(Pgd(epsilon=0.6, steps=2, step_size=0.5)), batches)

    torch.testing.assert_close(found, list(expected), rtol=1e-3, atol=1e-6)


def test_moves_stay_in_the_ball_grow_the_loss_and_spare_padding(tiny: TinyStep) -> None:
    stabilizer = tiny.prepared(Pgd(epsilon=0.05, steps=3, step_size=0.04))
    moves = tiny.moves()

    tiny.gradients(stabilizer, [tiny.batch])

    assert len(moves) == 4
    assert not moves[0].any(), "the first pass is the plain one"
    lengths = [move.flatten(1).norm(dim=1) for move in moves]
    assert all((length <= 0.05 + 1e-6).all() for length in lengths)
    losses = [number(tiny.loss_of(tiny.batch, move)) for move in moves]
    assert losses == sorted(losses)
    padding = tiny.batch.attention_mask == 0
    assert padding.any()
    assert not moves[-1][padding].any()


@pytest.mark.parametrize("special_tokens", [True, False])
def test_special_tokens_are_moved_or_not_as_said(tiny: TinyStep, special_tokens: bool) -> None:
    stabilizer = tiny.prepared(Pgd(epsilon=1.0, special_tokens=special_tokens))
    moves = tiny.moves()

    tiny.gradients(stabilizer, [tiny.batch])

    ids = tiny.encode.tokenizer.all_special_ids
    special = torch.isin(tiny.batch.input_ids, torch.tensor(ids)) & (tiny.batch.attention_mask == 1)
    assert bool(moves[-1][special].any()) == special_tokens
    assert moves[-1][(tiny.batch.attention_mask == 1) & ~special].any()


def test_the_mark_between_two_texts_is_a_special_token(tiny: TinyStep) -> None:
    batch = tiny.encode([("good film", "bad"), ("long", "a dull story")])
    special = torch.isin(batch.input_ids, torch.tensor(tiny.encode.tokenizer.all_special_ids))

    mask = movable(batch, False, 1)[..., 0]

    assert torch.equal(mask == 1, ~special)


def test_the_projection_keeps_what_is_inside_and_shortens_the_rest() -> None:
    delta = torch.tensor([[[3.0, 4.0]], [[0.3, 0.4]], [[0.0, 0.0]]])

    found = projected(delta, 1.0)

    torch.testing.assert_close(found, torch.tensor([[[0.6, 0.8]], [[0.3, 0.4]], [[0.0, 0.0]]]))
