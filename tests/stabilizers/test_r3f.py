"""R3F against its equation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import rel_entr, softmax
from tiny_step import TinyStep, number, tiny_step
from torch import Tensor

from stabbench.stabilizers.base import Place
from stabbench.stabilizers.r3f import R3f


@pytest.fixture
def tiny(tiny_model_without_dropout: Path) -> TinyStep:
    return tiny_step(tiny_model_without_dropout)


def both_directions(first: Tensor, second: Tensor) -> float:
    p, q = (softmax(logits.detach().numpy().astype(np.float64), axis=1) for logits in (first, second))
    return float((rel_entr(p, q).sum(axis=1) + rel_entr(q, p).sum(axis=1)).mean())


@pytest.mark.parametrize("noise", ["uniform", "normal"])
@pytest.mark.parametrize("weight", [0.5, 3.0])
def test_the_objective_adds_both_divergences_of_a_noisy_pass(tiny: TinyStep, weight: float, noise: Any) -> None:
    stabilizer = tiny.prepared(R3f(weight=weight, epsilon=0.5, noise=noise))
    moves = tiny.moves()

    objective = tiny.objective(stabilizer)

    assert len(moves) == 2
    assert not moves[0].any()
    clean, noisy = tiny.logits_of(tiny.batch), tiny.logits_of(tiny.batch, moves[1])
    plain = number(tiny.loss_of(tiny.batch))
    assert number(objective.total) == pytest.approx(plain + weight * both_directions(noisy, clean), rel=1e-4)
    assert number(objective.cross_entropy) == pytest.approx(plain, rel=1e-5)
    assert both_directions(noisy, clean) > 1e-3


def test_gradients_flow_through_both_passes(tiny: TinyStep) -> None:
    """Against autograd on the same two passes, the table of embeddings included."""
    stabilizer = tiny.prepared(R3f(weight=2.0, epsilon=0.5))
    moves = tiny.moves()
    parameters = list(tiny.model.parameters())

    found = torch.autograd.grad(tiny.objective(stabilizer).total, parameters)

    clean, noisy = (torch.log_softmax(tiny.logits_of(tiny.batch, m), dim=-1) for m in (None, moves[1]))
    divergence = sum((a.exp() * (a - b)).sum(dim=-1).mean() for a, b in ((clean, noisy), (noisy, clean)))
    expected = torch.autograd.grad(tiny.loss_of(tiny.batch) + 2.0 * divergence, parameters)
    torch.testing.assert_close(list(found), list(expected), rtol=1e-3, atol=1e-6)


def test_noise_has_its_distribution_and_spares_padding(tiny: TinyStep) -> None:
    real = tiny.batch.attention_mask == 1
    numbers = {}
    for noise in ("uniform", "normal"):
        stabilizer = tiny.prepared(R3f(epsilon=0.2, noise=noise))  # type: ignore[arg-type]
        moves = tiny.moves()
        tiny.objective(stabilizer)
        stabilizer.finish_model(tiny.model)
        assert not moves[1][~real].any()
        numbers[noise] = moves[1][real].numpy().ravel()

    assert np.abs(numbers["uniform"]).max() <= 0.2 + 1e-6
    assert numbers["uniform"].std() == pytest.approx(0.2 / np.sqrt(3), rel=0.1)
    assert np.abs(numbers["normal"]).max() > 0.25
    assert numbers["normal"].std() == pytest.approx(0.2, rel=0.1)


def test_noise_is_drawn_by_place(tiny: TinyStep) -> None:
    stabilizer = tiny.prepared(R3f(epsilon=0.2))
    moves = tiny.moves()
    for place in (Place(0, 0, 0, 0), Place(0, 0, 0, 0), Place(1, 0, 0, 0), Place(0, 1, 0, 0)):
        torch.manual_seed(len(moves))
        tiny.objective(stabilizer, place)

    first, again, step, micro = moves[1::2]
    assert torch.equal(first, again)
    assert not torch.equal(first, step)
    assert not torch.equal(first, micro)


@pytest.mark.parametrize("shared", [True, False])
def test_with_shared_dropout_only_the_noise_is_measured(tiny_model: Path, shared: bool) -> None:
    """Noise near nothing: with the same masks the divergence vanishes, with others dropout is what it measures."""
    tiny = tiny_step(tiny_model)
    stabilizer = tiny.prepared(R3f(weight=1.0, epsilon=1e-7, shared_dropout=shared))

    objective = tiny.objective(stabilizer, dropout=tiny.dropout())

    divergence = number(objective.total - objective.cross_entropy)
    assert (abs(divergence) < 1e-5) if shared else (divergence > 1e-3)
