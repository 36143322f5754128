"""LNSR against its equation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_step import TinyStep, number, tiny_step
from torch import Tensor, nn

from stabbench.errors import ConfigurationError
from stabbench.stabilizers.base import Place
from stabbench.stabilizers.lnsr import Lnsr, instability, relative_noise

RNG = np.random.default_rng(0)


@pytest.fixture
def tiny(tiny_model_without_dropout: Path) -> TinyStep:
    return tiny_step(tiny_model_without_dropout)


def test_noise_is_a_share_of_the_hidden_states_length_at_each_token() -> None:
    hidden = RNG.normal(size=(2, 3, 5)) * np.array([1, 10, 100]).reshape(1, 3, 1)
    drawn = RNG.normal(size=(2, 3, 5))

    found = relative_noise(torch.tensor(hidden, dtype=torch.float32), torch.tensor(drawn), 0.05).numpy()

    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 0.05 * np.linalg.norm(hidden, axis=2), rtol=1e-5)
    cosine = (found * drawn).sum(axis=2) / np.linalg.norm(found, axis=2) / np.linalg.norm(drawn, axis=2)
    np.testing.assert_allclose(cosine, 1.0, rtol=1e-5)


def test_the_penalty_is_the_mean_square_over_real_tokens_summed_over_blocks() -> None:
    clean, moved = RNG.normal(size=(2, 2, 3, 4)), RNG.normal(size=(2, 2, 3, 4))
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    squares = ((moved - clean) ** 2).mean(axis=3)
    expected = sum(np.average(of_block, weights=mask) for of_block in squares)

    found = instability([torch.tensor(c) for c in clean], [torch.tensor(m) for m in moved], torch.tensor(mask))

    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def outputs_of(block: nn.Module) -> list[Tensor]:
    """Return a list to which every later forward adds the block's output."""
    found: list[Tensor] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    block.register_forward_hook(note)
    return found


def test_the_objective_adds_what_the_block_above_makes_of_the_noise(tiny_model_without_dropout: Path) -> None:
    """The second block is run by hand on the first one's output with and without the noise."""
    tiny = tiny_step(tiny_model_without_dropout, ["good film", "bad story", "the plot"])
    assert (tiny.batch.attention_mask == 1).all(), "equal lengths, so that the block needs no mask"
    stabilizer = tiny.prepared(Lnsr(weight=2.0, noise=0.3, block=0))
    lower = outputs_of(tiny.parts.blocks[0])

    objective = tiny.objective(stabilizer)
    parameters = list(tiny.model.parameters())
    found = torch.autograd.grad(objective.total, parameters, retain_graph=True)

    clean, noisy = lower
    np.testing.assert_allclose(
        (noisy - clean).norm(dim=-1).detach().numpy(), 0.3 * clean.norm(dim=-1).detach().numpy(), rtol=1e-4
    )
    noise = (noisy - clean).detach()
    above = [_run(tiny.parts.blocks[1], hidden) for hidden in (clean, clean + noise)]
    penalty = (above[1] - above[0]).square().mean()
    assert number(penalty) > 1e-4
    plain = tiny.loss_of(tiny.batch)
    assert number(objective.total) == pytest.approx(number(plain + 2.0 * penalty), rel=1e-4)
    assert number(objective.cross_entropy) == pytest.approx(number(plain), rel=1e-5)
    expected = torch.autograd.grad(plain + 2.0 * penalty, parameters)
    torch.testing.assert_close(list(found), list(expected), rtol=1e-3, atol=1e-5)


def _run(block: nn.Module, hidden: Tensor) -> Tensor:
    output = block(hidden)
    return output[0] if isinstance(output, tuple) else output


def test_noise_is_drawn_by_place_and_dropout_is_shared(tiny_model: Path) -> None:
    tiny = tiny_step(tiny_model)
    stabilizer = tiny.prepared(Lnsr(noise=1e-6))
    lower = outputs_of(tiny.parts.blocks[0])
    dropout = tiny.dropout()
    for place in (Place(0, 0, 0, 0), Place(0, 0, 0, 0), Place(1, 0, 0, 0)):
        objective = tiny.objective(stabilizer, place, dropout=dropout)
        assert number(objective.total - objective.cross_entropy) < 1e-6, "what dropout does is not measured"

    first, again, other = (noisy - clean for clean, noisy in zip(lower[::2], lower[1::2], strict=True))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("block", [1, 7])
def test_a_block_with_none_above_is_refused_with_what_is_allowed(tiny: TinyStep, block: int) -> None:
    with pytest.raises(ConfigurationError, match=rf"lnsr.block: {block}, but the model has 2 blocks.*choose 0 to 0"):
        tiny.prepared(Lnsr(block=block))
