"""Matched dropout: masks are a function of seed, step, pass, draw and place, and of nothing drawn elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.training.dropout import MatchedDropout

IDS = torch.arange(5, 21).view(2, 8)


@pytest.fixture
def model(tiny_model: Path) -> nn.Module:
    return load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))[0]


@pytest.fixture
def forward(model: nn.Module) -> Callable[..., Tensor]:
    dropout = MatchedDropout(model, TrialSeeds(0, 0))

    def run(step: int = 0, micro: int = 0, backward: int = 0, draw: int = 0) -> Tensor:
        dropout.enter(step, micro, backward, draw)
        logits: Tensor = model(input_ids=IDS).logits
        return logits.detach()

    return run


def test_the_same_place_has_the_same_masks_whatever_was_drawn_before(forward: Callable[..., Tensor]) -> None:
    first = forward()
    torch.rand(1000)
    forward(draw=1)

    assert torch.equal(forward(), first)


@pytest.mark.parametrize("place", [{"step": 1}, {"micro": 1}, {"backward": 1}, {"draw": 1}])
def test_every_coordinate_changes_the_masks(place: dict[str, int], forward: Callable[..., Tensor]) -> None:
    assert not torch.equal(forward(**place), forward())


def test_an_extra_random_module_shifts_no_mask_elsewhere(model: nn.Module, forward: Callable[..., Tensor]) -> None:
    expected = forward()

    def draw(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        torch.rand(7)

    extra = model.bert.encoder.layer[0].register_forward_pre_hook(draw)  # type: ignore[union-attr, operator, index]

    found = forward()
    extra.remove()

    assert torch.equal(found, expected)


def test_attention_dropout_is_matched_too(model: nn.Module, forward: Callable[..., Tensor]) -> None:
    for module in model.modules():
        if isinstance(module, nn.Dropout) and module is not model.bert.encoder.layer[0].attention.self.dropout:  # type: ignore[union-attr, index]
            module.p = 0.0
    model.eval()
    without = forward()
    model.train()

    first = forward()
    torch.rand(3)

    assert not torch.equal(first, without), "attention dropout is off: the test shows nothing"
    assert torch.equal(forward(), first)


def test_two_places_in_the_model_have_different_masks() -> None:
    pair = nn.ModuleList([nn.Dropout(0.5), nn.Dropout(0.5)])
    MatchedDropout(pair, TrialSeeds(0, 0)).enter(0, 0, 0, 0)

    first, second = (module(torch.ones(200)) for module in pair)

    assert not torch.equal(first, second)


def test_the_hash_sees_the_masks_really_applied(tiny_model: Path) -> None:
    def hashed(init: int = 0, p: float | None = None, steps: int = 1, passes: int = 1) -> str:
        model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
        dropout = MatchedDropout(model, TrialSeeds(init, 0))
        if p is not None:
            model.dropout.p = p
        for step in [step for step in range(steps) for _ in range(passes)]:
            dropout.enter(step, 0, 0, 0)
            model(input_ids=IDS)
        return dropout.hash

    assert hashed() == hashed()
    assert hashed() == hashed(steps=3), "only the first forward counts"
    assert hashed() == hashed(passes=2), "also where a second one has its masks"
    assert hashed() != hashed(init=1)
    assert hashed() != hashed(p=0.3)


def test_evaluation_draws_nothing_and_removal_leaves_no_hook(model: nn.Module) -> None:
    dropout = MatchedDropout(model, TrialSeeds(0, 0))
    model.eval()
    state = torch.get_rng_state()

    model(input_ids=IDS)
    dropout.remove()

    assert torch.equal(state, torch.get_rng_state())
    assert not [m for m in model.modules() if m._forward_hooks or m._forward_pre_hooks]
