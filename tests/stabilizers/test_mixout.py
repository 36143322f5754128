"""Mixout against its equation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_step import TinyStep, tiny_step
from torch import Tensor, nn

from stabbench.models.loading import state_hash
from stabbench.stabilizers.base import Place
from stabbench.stabilizers.mixout import Mixout, mix

RNG = np.random.default_rng(0)
W, U = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 5))


@pytest.fixture
def tiny(tiny_model_without_dropout: Path) -> TinyStep:
    return tiny_step(tiny_model_without_dropout)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("rows", [1, 3])
def test_mixed_weights_are_those_of_the_paper(p: float, rows: int) -> None:
    """W̃ = ((1−M) u + M w − p u)/(1−p), one row of M for all outputs (neurons) or one for each (weights)."""
    m = (RNG.uniform(size=(rows, 5)) >= p).astype(float)

    found = mix(torch.tensor(W), torch.tensor(U), torch.tensor(m), p).numpy()

    np.testing.assert_allclose(found, ((1 - m) * U + m * W - p * U) / (1 - p), rtol=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.9])
def test_their_mean_over_the_masks_is_the_weight(p: float) -> None:
    on, off = (mix(torch.tensor(W), torch.tensor(U), torch.full((1, 5), float(m)), p).numpy() for m in (1, 0))

    np.testing.assert_allclose((1 - p) * on + p * off, W, rtol=1e-12)


class Layer:
    """One mixed layer inside a block of the tiny model, moved away from its pretrained weights."""

    def __init__(self, tiny: TinyStep, **options: object) -> None:
        self.linear: nn.Linear = next(m for m in tiny.parts.blocks[0].modules() if isinstance(m, nn.Linear))
        self.stabilizer = tiny.prepared(Mixout(**options))  # type: ignore[arg-type]
        self.before = self.linear.weight.detach().clone()
        with torch.no_grad():
            self.linear.weight += 1.0

    def weights(self, place: Place = Place(0, 0, 0, 0)) -> Tensor:  # noqa: B008
        """Return the weights that the layer works with: its answers to the unit vectors, less the bias."""
        self.stabilizer.on_forward(None, place)
        inputs = torch.eye(self.linear.in_features)
        return (self.linear(inputs) - self.linear.bias).T


@pytest.mark.parametrize("p", [0.3, 0.8])
@pytest.mark.parametrize("mask", ["neuron", "weight"])
def test_a_layer_works_with_mixed_weights_and_the_share_that_it_says(tiny: TinyStep, p: float, mask: str) -> None:
    """Where w = u + 1, W̃ − u is 0 or 1/(1−p); a neuron is a column of the weights."""
    layer = Layer(tiny, probability=p, mask=mask)

    found = np.stack([(layer.weights(Place(s, 0, 0, 0)) - layer.before).detach().numpy() for s in range(30)])

    kept = np.isclose(found, 1 / (1 - p), atol=1e-4)
    assert (kept | np.isclose(found, 0, atol=1e-4)).all()
    assert kept.mean() == pytest.approx(1 - p, abs=0.05)
    assert (kept.all(axis=1) | ~kept.any(axis=1)).all() == (mask == "neuron")


@pytest.mark.parametrize("legacy_bug", [False, True])
def test_the_gradient_has_the_factor_that_released_code_leaves_out(tiny: TinyStep, legacy_bug: bool) -> None:
    """Of L = Σ W̃: M/(1−p), and M in the released code, with the same W̃."""
    layer = Layer(tiny, probability=0.8, legacy_bug=legacy_bug)

    mixed = layer.weights()
    mixed.sum().backward()

    m = np.isclose((mixed - layer.before).detach().numpy(), 5.0, atol=1e-4)
    assert 0 < m.sum() < m.size
    assert layer.linear.weight.grad is not None
    np.testing.assert_allclose(layer.linear.weight.grad.numpy(), m * (1.0 if legacy_bug else 5.0), rtol=1e-5)


def test_masks_are_drawn_by_place_and_layer(tiny: TinyStep) -> None:
    layer = Layer(tiny, probability=0.5)
    places = [Place(0, 0, 0, 0), Place(0, 0, 0, 0), Place(1, 0, 0, 0), Place(0, 1, 0, 0), Place(0, 0, 0, 1)]
    found = []
    for n, place in enumerate(places):
        torch.manual_seed(n)
        found.append(layer.weights(place).detach())

    assert torch.equal(found[0], found[1])
    assert not any(torch.equal(found[0], other) for other in found[2:])


def test_at_the_pretrained_weights_nothing_changes(tiny: TinyStep) -> None:
    plain = tiny.logits_of(tiny.batch).detach()

    tiny.prepared(Mixout(probability=0.9))

    torch.testing.assert_close(tiny.logits_of(tiny.batch).detach(), plain)


def test_only_linear_layers_of_blocks_are_mixed_and_only_in_training(tiny: TinyStep) -> None:
    stabilizer = tiny.prepared(Mixout(probability=0.5))
    blocks = {
        id(p) for block in tiny.parts.blocks for m in block.modules() if isinstance(m, nn.Linear) for p in [m.weight]
    }
    seen = set()
    for name, parameter in tiny.model.named_parameters():
        with torch.no_grad():
            parameter += 0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        stabilizer.on_forward(tiny.batch, Place(0, 0, 0, 0))
        trained = tiny.logits_of(tiny.batch).detach()
        evaluated = _in_eval(tiny)
        with torch.no_grad():
            parameter -= 0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
        if not torch.allclose(trained, evaluated, rtol=1e-4, atol=1e-5):
            seen.add(name)

    assert seen == {name for name, p in tiny.model.named_parameters() if id(p) in blocks}


def _in_eval(tiny: TinyStep) -> Tensor:
    tiny.model.eval()
    found = tiny.logits_of(tiny.batch).detach()
    tiny.model.train()
    return found


def test_the_model_keeps_its_names_and_loses_the_mixing_at_the_end(tiny: TinyStep) -> None:
    names, before = list(tiny.model.state_dict()), state_hash(tiny.model)

    stabilizer = tiny.prepared(Mixout())
    assert list(tiny.model.state_dict()) == names
    stabilizer.finish_model(tiny.model)

    assert state_hash(tiny.model) == before
    assert not any("forward" in vars(module) for module in tiny.model.modules())
