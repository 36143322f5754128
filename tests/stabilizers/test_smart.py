"""SMART against its equations."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from tiny_step import TinyStep, number, tiny_step
from torch import Tensor

from stabbench.models.loading import state_hash
from stabbench.stabilizers.base import Place
from stabbench.stabilizers.smart import Smart, ascended, rescaled

RNG = np.random.default_rng(0)


@pytest.fixture
def tiny(tiny_model_without_dropout: Path) -> TinyStep:
    return tiny_step(tiny_model_without_dropout)


def both_directions(first: Tensor, second: Tensor) -> float:
    p, q = (softmax(logits.detach().numpy().astype(np.float64), axis=1) for logits in (first, second))
    return float((rel_entr(p, q).sum(axis=1) + rel_entr(q, p).sum(axis=1)).mean())


def test_the_search_steps_along_the_gradient_of_each_example_and_projects() -> None:
    start, gradient = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4)) * np.array([1, 1e3]).reshape(2, 1, 1)

    found = ascended(torch.tensor(start), torch.tensor(gradient), 0.7, 0.9).numpy()

    for row in range(2):
        step = start[row] + 0.7 * gradient[row] / np.abs(gradient[row]).max()
        np.testing.assert_allclose(found[row], np.minimum(np.maximum(step, -0.9), 0.9), rtol=1e-12)


def test_without_a_gradient_the_noise_is_only_projected() -> None:
    start = torch.tensor(RNG.normal(size=(1, 2, 3)))

    assert torch.equal(ascended(start, torch.zeros_like(start), 1.0, 0.5), start.clamp(-0.5, 0.5))


def test_the_released_code_makes_the_largest_number_of_each_token_one() -> None:
    move = RNG.normal(size=(2, 3, 4)) * 1e-3

    found = rescaled(torch.tensor(move)).numpy()

    np.testing.assert_allclose(found, move / (np.abs(move).max(axis=2, keepdims=True) + 1e-6), rtol=1e-12)
    np.testing.assert_allclose(np.abs(found).max(axis=2), 1.0, rtol=1e-2)


def test_the_objective_adds_the_divergence_at_the_searched_point(tiny: TinyStep) -> None:
    stabilizer = tiny.prepared(Smart(weight=3.0, proximal=0.0, epsilon=0.2, sigma=0.01, step_size=10.0))
    moves = tiny.moves()

    objective = tiny.objective(stabilizer)

    plain, start, delta = moves
    assert not plain.any()
    assert float(delta.abs().max()) == pytest.approx(0.2, rel=1e-5)
    assert not delta[tiny.batch.attention_mask == 0].any()
    # The ascent by hand: g of Σ KL(f(x+ν)‖f(x)) + KL(f(x)‖f(x+ν)) at ν.
    nu = start.clone().requires_grad_()
    p, q = torch.log_softmax(tiny.logits_of(tiny.batch, nu), -1), torch.log_softmax(tiny.logits_of(tiny.batch), -1)
    (g,) = torch.autograd.grad((p.exp() * (p - q) + q.exp() * (q - p)).sum(), nu)
    step = start + 10.0 * g / g.abs().amax(dim=(1, 2), keepdim=True)
    torch.testing.assert_close(
        delta, step.clamp(-0.2, 0.2) * tiny.batch.attention_mask.unsqueeze(-1), rtol=1e-2, atol=1e-3
    )
    clean, moved = tiny.logits_of(tiny.batch), tiny.logits_of(tiny.batch, delta)
    loss = number(tiny.loss_of(tiny.batch))
    assert number(objective.total) == pytest.approx(loss + 3.0 * both_directions(moved, clean), rel=1e-4)
    random = 0.2 * torch.sign(start)
    assert both_directions(moved, clean) > both_directions(tiny.logits_of(tiny.batch, random), clean)


def test_gradients_flow_through_both_predictions(tiny: TinyStep) -> None:
    stabilizer = tiny.prepared(Smart(weight=1.0, proximal=0.0, epsilon=0.2, step_size=10.0))
    moves = tiny.moves()
    parameters = list(tiny.model.parameters())

    found = torch.autograd.grad(tiny.objective(stabilizer).total, parameters)

    p, q = (torch.log_softmax(tiny.logits_of(tiny.batch, m), dim=-1) for m in (moves[2], None))
    divergence = ((p.exp() - q.exp()) * (p - q)).sum(dim=-1).mean()
    expected = torch.autograd.grad(tiny.loss_of(tiny.batch) + divergence, parameters)
    torch.testing.assert_close(list(found), list(expected), rtol=1e-3, atol=1e-6)


def test_the_released_scale_moves_every_token_by_one(tiny: TinyStep) -> None:
    stabilizer = tiny.prepared(Smart(proximal=0.0, legacy_bug=True))
    moves = tiny.moves()

    tiny.objective(stabilizer)

    largest = moves[2].abs().amax(dim=-1)[tiny.batch.attention_mask == 1]
    assert (largest > 0.8).all(), "1e-5 by the paper"
    assert (largest <= 1.0 + 1e-5).all()


def test_the_teacher_is_the_momentum_average_and_pulls_the_predictions(tiny: TinyStep) -> None:
    """θ̃ ← β θ̃ + (1−β) θ with β 0.9 in the first of ten steps and 0.5 afterwards; μ ℓ(f(x), f(x; θ̃))."""
    stabilizer = tiny.prepared(Smart(weight=0.0, proximal=2.0, momentum=0.9, late_momentum=0.5), steps=10)
    first = tiny.objective(stabilizer)
    assert number(first.total) == pytest.approx(number(first.cross_entropy), abs=1e-7), "θ̃ is θ at the start"

    teacher = copy.deepcopy(tiny.model)
    generator = torch.Generator().manual_seed(0)
    for step, beta in enumerate((0.9, 0.5)):
        with torch.no_grad():
            for parameter, average in zip(tiny.model.parameters(), teacher.parameters(), strict=True):
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
                average.mul_(beta).add_((1 - beta) * parameter)
        stabilizer.on_step(tiny.model, step)
    before = state_hash(tiny.model)

    objective = tiny.objective(stabilizer)

    taught = teacher(**tiny.batch.inputs()).logits
    plain = tiny.loss_of(tiny.batch)
    expected = number(plain) + 2.0 * both_directions(tiny.logits_of(tiny.batch), taught)
    assert number(objective.total) == pytest.approx(expected, rel=1e-4)
    assert state_hash(tiny.model) == before
    p, q = torch.log_softmax(tiny.logits_of(tiny.batch), dim=-1), torch.log_softmax(taught.detach(), dim=-1)
    total = plain + 2.0 * ((p.exp() - q.exp()) * (p - q)).sum(dim=-1).mean()
    parameters = list(tiny.model.parameters())
    torch.testing.assert_close(
        list(torch.autograd.grad(objective.total, parameters)),
        list(torch.autograd.grad(total, parameters)),
        rtol=1e-3,
        atol=1e-6,
    )


def test_dropout_is_shared_by_all_passes_and_noise_is_drawn_by_place(tiny_model: Path) -> None:
    tiny = tiny_step(tiny_model)
    stabilizer = tiny.prepared(Smart(weight=1.0, proximal=1.0))
    moves, dropout = tiny.moves(), tiny.dropout()
    starts = []
    for place in (Place(0, 0, 0, 0), Place(0, 0, 0, 0), Place(1, 0, 0, 0)):
        objective = tiny.objective(stabilizer, place, dropout=dropout)
        assert abs(number(objective.total - objective.cross_entropy)) < 1e-5, "what dropout does is not measured"
        starts.append(moves[-3])

    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
