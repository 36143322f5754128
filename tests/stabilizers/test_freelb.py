"""FreeLB against Algorithm 1, written out with autograd."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_step import TinyStep, halves, number, tiny_step
from torch import Tensor

from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.freelb import Freelb, initial_delta


@pytest.fixture
def tiny(tiny_model_without_dropout: Path) -> TinyStep:
    return tiny_step(tiny_model_without_dropout)


def averaged(tiny: TinyStep, batch: Batch, start: Tensor, steps: int, alpha: float, radius: float) -> Tensor:
    """Return (1/K) Σ_k L(x + δ_k), δ_k constants found by the algorithm's lines 6 to 8."""
    delta, losses = start.numpy().astype(np.float64), []
    for _ in range(steps):
        point = torch.tensor(delta, dtype=torch.float32, requires_grad=True)
        loss = tiny.loss_of(batch, point)
        (gradient,) = torch.autograd.grad(loss, point, retain_graph=True)
        losses.append(loss)
        for row, g in enumerate(gradient.numpy()):
            delta[row] += alpha * g / np.linalg.norm(g)
            delta[row] *= min(1.0, radius / np.linalg.norm(delta[row])) if radius else 1.0
    return torch.stack(losses).mean()


@pytest.mark.parametrize(("steps", "radius"), [(1, 0.0), (3, 0.0), (3, 0.4)])
def test_the_gradient_is_the_mean_over_k_points_of_the_ascent(tiny: TinyStep, steps: int, radius: float) -> None:
    stabilizer = tiny.prepared(Freelb(steps=steps, step_size=0.3, initial=1.0, radius=radius))
    moves = tiny.moves()

    found, reported = tiny.gradients(stabilizer, [tiny.batch])

    assert len(moves) == steps, "K passes and not K + 1"
    loss = averaged(tiny, tiny.batch, moves[0], steps, 0.3, radius)
    expected = torch.autograd.grad(loss, list(tiny.model.parameters()))
    torch.testing.assert_close(found, list(expected), rtol=1e-3, atol=1e-6)
    assert number(reported.total) == pytest.approx(number(tiny.loss_of(tiny.batch, moves[0])), rel=1e-5)


def test_micro_batches_begin_at_points_of_their_own(tiny: TinyStep) -> None:
    batches = halves(tiny.batch)
    stabilizer = tiny.prepared(Freelb(steps=2, step_size=0.3, initial=1.0, radius=0.0))
    moves = tiny.moves()

    found, _ = tiny.gradients(stabilizer, batches)

    losses = [averaged(tiny, part, moves[index], 2, 0.3, 0.0) for index, part in enumerate(batches)]
    expected = torch.autograd.grad(torch.stack(losses).mean(), list(tiny.model.parameters()))
    torch.testing.assert_close(found, list(expected), rtol=1e-3, atol=1e-6)
    assert not torch.equal(moves[0][0], moves[1][0])


def test_the_start_is_uniform_on_the_tokens_and_scaled_by_the_root_of_their_number() -> None:
    """δ₀ = m u/√(n H): an example of n = 2 tokens and H = 3 has the factor m/√6."""
    drawn = np.random.default_rng(0).uniform(-1, 1, size=(2, 4, 3)).astype(np.float32)
    real = np.array([[1, 1, 0, 0], [1, 1, 1, 1]])
    mask = np.repeat(real[..., None], 3, axis=2)

    found = initial_delta(torch.tensor(drawn), torch.tensor(mask, dtype=torch.float32), 0.7).numpy()

    for row, n in enumerate((2, 4)):
        np.testing.assert_allclose(found[row], 0.7 * drawn[row] * mask[row] / np.sqrt(n * 3), rtol=1e-5)


def test_the_start_has_the_length_that_its_option_says(tiny: TinyStep) -> None:
    """E u² = 1/3, so ‖δ₀‖ is near m/√3."""
    stabilizer = tiny.prepared(Freelb(steps=1, initial=0.9))
    moves = tiny.moves()

    tiny.gradients(stabilizer, [tiny.batch])

    np.testing.assert_allclose(moves[0].flatten(1).norm(dim=1).numpy(), 0.9 / np.sqrt(3), rtol=0.2)
    assert not moves[0][tiny.batch.attention_mask == 0].any()


def test_the_start_is_a_function_of_seed_and_step_alone(tiny: TinyStep) -> None:
    def start(seed: int, step: int) -> Tensor:
        stabilizer = Freelb(steps=1)
        stabilizer.prepare_model(tiny.model, tiny.parts, TrialSeeds(seed, seed), 10)
        moves = tiny.moves()
        torch.manual_seed(step + seed)
        tiny.gradients(stabilizer, [tiny.batch], step)
        stabilizer.finish_model(tiny.model)
        return moves[0]

    assert torch.equal(start(0, 0), start(0, 0))
    assert not torch.equal(start(0, 0), start(0, 1))
    assert not torch.equal(start(0, 0), start(1, 0))
