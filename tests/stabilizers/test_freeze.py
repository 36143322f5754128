"""Freezing: which parts train at which step, and that frozen ones keep their bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.freeze import Freeze
from stabbench.training.request import TrainResult

STEPS = 10
FineTune = Callable[..., TrainResult]


@pytest.fixture
def model(tiny_model: Path) -> nn.Module:
    return load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))[0]


def trained(model: nn.Module) -> set[str]:
    """Return the parts that train now; all parameters of a part must agree."""
    parts = anatomy(model)
    flags: dict[str, set[bool]] = {}
    for name, parameter in model.named_parameters():
        flags.setdefault(parts.block_of[name], set()).add(parameter.requires_grad)
    assert all(len(found) == 1 for found in flags.values())
    return {part for part, found in flags.items() if True in found}


def history(model: nn.Module, **options: Any) -> list[set[str]]:
    """Return which parts train at steps 0 … STEPS−1."""
    stabilizer = Freeze(**options)
    stabilizer.prepare_model(model, anatomy(model), TrialSeeds(0, 0), STEPS)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    stabilizer.on_start(model, optimizer)
    found = []
    for step in range(STEPS):
        found.append(trained(model))
        stabilizer.on_step(model, step)
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert all(id(p) in held for p in model.parameters() if p.requires_grad), "trained without an optimizer"
    stabilizer.finish_model(model)
    assert trained(model) == {"embeddings", "block.0", "block.1", "pooler", "head"}
    return found


EVERYTHING = {"embeddings", "block.0", "block.1", "pooler", "head"}


@pytest.mark.parametrize(
    ("options", "frozen"),
    [
        ({}, {"embeddings", "block.0"}),
        ({"blocks": 0}, {"embeddings"}),
        ({"blocks": 2}, {"embeddings", "block.0", "block.1"}),
        ({"blocks": 1, "embeddings": False}, {"block.0"}),
        ({"head_only": True}, EVERYTHING - {"head"}),
        (dict(Freeze.null), set()),
    ],
)
def test_the_named_parts_are_frozen_at_every_step(model: nn.Module, options: dict[str, Any], frozen: set[str]) -> None:
    assert history(model, **options) == [EVERYTHING - frozen] * STEPS


def test_head_first_then_all_thaws_together_after_the_share(model: nn.Module) -> None:
    """Kumar et al. 2022 with u = 0.25 of 10 steps: ⌈2.5⌉ = 3 steps of the head alone."""
    assert history(model, head_only=True, until=0.25) == [{"head"}] * 3 + [EVERYTHING] * 7


def test_gradual_thawing_goes_one_part_after_the_other_from_the_top(model: nn.Module) -> None:
    """Four frozen parts over the first 8 steps: pooler at 2, block 1 at 4, block 0 at 6, embeddings at 8."""
    stages = [{"head"}, {"head", "pooler"}, {"head", "pooler", "block.1"}, EVERYTHING - {"embeddings"}, EVERYTHING]

    found = history(model, head_only=True, until=0.8, thaw="gradual")

    assert found == [stage for stage in stages for _ in range(2)]


@pytest.mark.parametrize("thaw", ["together", "gradual"])
def test_a_share_of_zero_freezes_nothing(model: nn.Module, thaw: str) -> None:
    assert history(model, head_only=True, until=0.0, thaw=thaw) == [EVERYTHING] * STEPS


def test_more_blocks_than_the_model_has_are_refused_with_its_depth(model: nn.Module) -> None:
    with pytest.raises(ConfigurationError, match="blocks: 3, but the model has 2 blocks; choose 0 to 2"):
        history(model, blocks=3)


def moved(result: TrainResult, model: nn.Module) -> set[str]:
    assert result.subject.model is not None
    parts = anatomy(model)
    pairs = zip(result.subject.model.named_parameters(), model.parameters(), strict=True)
    return {parts.block_of[name] for (name, end), start in pairs if not torch.equal(end, start)}


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"blocks": 1}, {"block.1", "pooler", "head"}),
        ({"head_only": True}, {"head"}),
        ({"head_only": True, "until": 0.5}, EVERYTHING),
        ({"blocks": 2, "until": 0.8, "thaw": "gradual"}, EVERYTHING),
    ],
)
def test_frozen_weights_keep_their_bits_and_thawed_ones_move(
    fine_tune_tiny: FineTune, model: nn.Module, options: dict[str, Any], parts: set[str]
) -> None:
    assert moved(fine_tune_tiny([("freeze", options)]), model) == parts


@pytest.mark.parametrize("other", ["fgm", "ema", "swa", "l2_sp", "agc", "clip_grad_norm"])
def test_it_works_beside_others_while_parts_thaw(fine_tune_tiny: FineTune, model: nn.Module, other: str) -> None:
    for pair in ([("freeze", {"until": 0.6}), (other, {})], [(other, {}), ("freeze", {"head_only": True})]):
        result = fine_tune_tiny(pair)

        assert "head" in moved(result, model)
        assert result.details["failed_reason"] != "non-finite loss"
