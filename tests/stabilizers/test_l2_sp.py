"""The pull towards the pretrained weights against its recursion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import ParamGroup
from stabbench.stabilizers.l2_sp import L2Sp
from stabbench.stabilizers.layerwise_decay import LayerwiseDecay
from stabbench.suite.schema import TrainOptions
from stabbench.training.optimizers import parameter_groups
from stabbench.training.request import TrainResult

START = {"low": np.array([1.0, -2.0]), "high": np.array([0.5]), "head": np.array([3.0, 4.0])}
RATES = {"low": 0.1, "high": 0.4, "head": 0.4}
BLOCK = {"low": "block.0", "high": "block.1", "head": "head"}


def run(strength: float, moves: list[dict[str, np.ndarray]], factors: list[float], legacy: bool = False) -> Any:
    """Add the given moves as the optimizer's steps, and let the stabilizer pull after each."""
    parameters = {name: nn.Parameter(torch.tensor(value)) for name, value in START.items()}
    groups: list[ParamGroup] = [
        {"params": [parameters[name]], "lr": RATES[name], "weight_decay": 0.01, "block": BLOCK[name]} for name in START
    ]
    parts: Any = None  # the blocks' names stand in the groups
    stabilizer = L2Sp(strength=strength, legacy_bug=legacy)
    optimizer = torch.optim.SGD(stabilizer.group_params(groups, parts), lr=1.0)
    stabilizer.on_start(nn.Linear(1, 1), optimizer)
    for step, (move, factor) in enumerate(zip(moves, factors, strict=True)):
        for group, name in zip(optimizer.param_groups, START, strict=True):
            group["lr"] = RATES[name] * factor  # as the loop does before each step
            parameters[name].data += torch.tensor(move[name])
        stabilizer.on_step(nn.Linear(1, 1), step)
    decays = {name: group["weight_decay"] for group, name in zip(optimizer.param_groups, START, strict=True)}
    return {name: parameter.detach().numpy() for name, parameter in parameters.items()}, decays


MOVES = [{n: np.random.default_rng(s).normal(size=v.shape) for n, v in START.items()} for s in range(4)]
FACTORS = [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_follow_the_recursion_with_their_own_rate_and_the_head_only_in_the_legacy_form(legacy: bool) -> None:
    """θ ← θ' − η_t λ (θ' − θ⁰) after θ' = θ + Δ."""
    strength = 1.5
    expected = {}
    for name, start in START.items():
        theta = start.copy()
        for move, factor in zip(MOVES, FACTORS, strict=True):
            theta = theta + move[name]
            if name != "head" or legacy:
                theta = theta - RATES[name] * factor * strength * (theta - start)
        expected[name] = theta

    found, decays = run(strength, MOVES, FACTORS, legacy)

    for name in START:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)
    assert decays == {"low": 0.0, "high": 0.0, "head": 0.0 if legacy else 0.01}, "no decay towards 0 beside the pull"


def test_without_strength_nothing_is_pulled_and_the_decay_stays() -> None:
    found, decays = run(0.0, MOVES, FACTORS)

    for name, start in START.items():
        np.testing.assert_allclose(found[name], start + sum(move[name] for move in MOVES), rtol=1e-6)
    assert set(decays.values()) == {0.01}


def test_the_pretrained_weights_are_a_fixed_point() -> None:
    still = [{name: np.zeros_like(value) for name, value in START.items()}] * 3

    found, _ = run(0.7, still, [1.0, 1.0, 1.0])

    for name, start in START.items():
        np.testing.assert_array_equal(found[name], start)


@pytest.mark.parametrize("order", [False, True])
def test_rates_are_those_after_every_other_stabilizers_grouping(tiny_model: Path, order: bool) -> None:
    model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    parts = anatomy(model)
    pull, decay = L2Sp(strength=1.0), LayerwiseDecay(factor=0.5)
    groups = parameter_groups(model, parts, TrainOptions(learning_rate=0.2))
    for stabilizer in (pull, decay) if order else (decay, pull):
        groups = stabilizer.group_params(groups, parts)
    pull.on_start(model, torch.optim.SGD(groups, lr=1.0))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)

    pull.on_step(model, 0)

    rates = {"embeddings": 0.025, "block.0": 0.05, "block.1": 0.1, "pooler": 0.2, "head": 0.0}
    for name, parameter in model.named_parameters():
        left = (parameter.detach() - before[name]).numpy()
        np.testing.assert_allclose(left, 1 - rates[parts.block_of[name]], atol=1e-5)


def distance(result: TrainResult, start: nn.Module, part: str) -> float:
    assert result.subject.model is not None
    block_of = anatomy(start).block_of
    pairs = zip(result.subject.model.named_parameters(), start.parameters(), strict=True)
    return sum(float((end - begin).detach().square().sum()) for (name, end), begin in pairs if block_of[name] == part)


def test_a_strong_pull_keeps_the_encoder_near_and_the_legacy_bug_keeps_the_head_at_its_random_start(
    fine_tune_tiny: Callable[..., TrainResult], tiny_model: Path
) -> None:
    start, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))

    plain = fine_tune_tiny()
    pulled = fine_tune_tiny([("l2_sp", {"strength": 150.0})])
    legacy = fine_tune_tiny([("l2_sp", {"strength": 150.0, "legacy_bug": True})])

    assert distance(pulled, start, "block.0") < 0.5 * distance(plain, start, "block.0")
    assert distance(pulled, start, "head") > 0.8 * distance(plain, start, "head")
    assert distance(legacy, start, "head") < 0.5 * distance(plain, start, "head")
