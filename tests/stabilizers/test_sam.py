"""SAM against its closed form on a quadratic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import Objective
from stabbench.stabilizers.sam import Sam

CURVATURE = np.diag([1.0, 4.0, 9.0, 2.0, 0.5])
POINT = np.array([0.5, -1.0, 2.0, 0.3, -0.7])


class Quadratic(nn.Module):
    """L = ½ θᵀ A θ, θ a weight of four numbers and a bias of one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(POINT[:4]))
        self.bias = nn.Parameter(torch.tensor(POINT[4:]))

    def loss(self, share: float = 1.0) -> torch.Tensor:
        theta = torch.cat([self.weight, self.bias])
        return share * 0.5 * theta @ torch.tensor(CURVATURE) @ theta


def prepared(model: nn.Module, steps: int = 10, **options: Any) -> Sam:
    stabilizer = Sam(**options)
    parts: Any = None  # the ascent does not ask for the anatomy
    stabilizer.prepare_model(model, parts, TrialSeeds(0, 0), steps)
    return stabilizer


def gradient(model: Quadratic, stabilizer: Sam, shares: tuple[float, ...] = (1.0,)) -> tuple[np.ndarray, list[int]]:
    """Return the gradient of one step over micro-batches with these shares of the loss, and the draws asked for."""
    draws = []

    def backward(draw: int = 0, scale: float = 1.0) -> Objective:
        draws.append(draw)
        for share in shares:
            (model.loss(share) * scale).backward()
        loss = model.loss().detach()
        return Objective(loss, loss, loss)

    model.zero_grad(set_to_none=True)
    reported = stabilizer.wrap_backward(backward)()
    assert float(reported.total) == pytest.approx(0.5 * POINT @ CURVATURE @ POINT), "the loss at θ is reported"
    return np.concatenate([p.grad.numpy() for p in model.parameters() if p.grad is not None]), draws


@pytest.mark.parametrize("rho", [0.05, 2.0])
@pytest.mark.parametrize("shares", [(1.0,), (0.25, 0.75)])
def test_the_gradient_is_taken_rho_up_the_normalised_gradient_of_the_whole_step(
    rho: float, shares: tuple[float, ...]
) -> None:
    """∇L(θ + ρ Aθ/‖Aθ‖) = A(θ + ρ Aθ/‖Aθ‖), whether the step has one micro-batch or two."""
    g = CURVATURE @ POINT
    expected = CURVATURE @ (POINT + rho * g / np.linalg.norm(g))
    model = Quadratic()

    found, draws = gradient(model, prepared(model, rho=rho, start=0.0), shares)

    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert draws == [0, 0], "both passes have the same dropout masks"


@pytest.mark.parametrize("eta", [0.0, 0.01, 0.5])
def test_the_adaptive_form_scales_by_the_weights_and_not_by_the_biases(eta: float) -> None:
    """e = ρ T² g/‖T g‖ with T = |w| + η for weights and 1 for biases (Kwon et al. 2021)."""
    g = CURVATURE @ POINT
    t = np.append(np.abs(POINT[:4]) + eta, 1.0)
    expected = CURVATURE @ (POINT + 0.5 * t**2 * g / np.linalg.norm(t * g))
    model = Quadratic()

    found, _ = gradient(model, prepared(model, rho=0.5, adaptive=True, eta=eta, start=0.0))

    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_weights_are_put_back_to_the_bit(adaptive: bool) -> None:
    model = Quadratic()

    gradient(model, prepared(model, rho=1e3, adaptive=adaptive, start=0.0))

    np.testing.assert_array_equal(torch.cat([model.weight, model.bias]).detach().numpy(), POINT)


@pytest.mark.parametrize(("start", "first"), [(0.0, 0), (0.25, 3), (0.7, 7), (1.0, 10)])
def test_it_starts_after_its_share_of_the_steps(start: float, first: int) -> None:
    """T = 10: ⌈0.25 · 10⌉ = 3, and 0.7 · 10 is 7 though not in floating point."""
    model = Quadratic()
    stabilizer = prepared(model, steps=10, start=start)
    passes = []
    for step in range(10):
        passes.append(len(gradient(model, stabilizer)[1]))
        stabilizer.on_step(model, step)

    assert passes == [1] * first + [2] * (10 - first)


def test_a_gradient_of_zero_moves_nothing() -> None:
    model = Quadratic()
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    stabilizer = prepared(model, start=0.0)

    def backward(draw: int = 0, scale: float = 1.0) -> Objective:
        model.loss().backward()
        assert torch.equal(model.weight, torch.zeros(4, dtype=torch.float64))
        return Objective(*[model.loss().detach()] * 3)

    stabilizer.wrap_backward(backward)()

    assert torch.equal(model.weight, torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("adaptive", [False, True])
def test_a_sparse_gradient_gives_what_a_dense_one_does(adaptive: bool) -> None:
    """The loop makes the gradient of word embeddings sparse while it is collected."""
    found = []
    for sparse in (False, True):
        torch.manual_seed(0)
        table = nn.Embedding(6, 3, sparse=sparse)
        model = nn.Sequential(table, nn.Linear(3, 1))
        stabilizer = prepared(model, rho=0.8, adaptive=adaptive, start=0.0)
        before = table.weight.detach().clone()

        def backward(draw: int = 0, scale: float = 1.0, model: nn.Module = model) -> Objective:
            loss = model(torch.tensor([1, 4, 4])).square().sum()
            loss.backward()
            return Objective(*[loss.detach()] * 3)

        stabilizer.wrap_backward(backward)()
        assert torch.equal(table.weight, before)
        assert table.weight.grad is not None
        found.append(table.weight.grad.to_dense())

    torch.testing.assert_close(found[0], found[1])
