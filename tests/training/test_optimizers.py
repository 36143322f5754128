"""The optimizers against NumPy, and the parameter groups against the module types."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import TrainOptions
from stabbench.training.optimizers import (
    base_schedule,
    build_optimizer,
    check_groups,
    parameter_groups,
    set_learning_rates,
)

GRADIENTS = np.random.default_rng(0).normal(size=(30, 3))
START = np.array([1.0, -2.0, 0.5])
RATE, DECAY, B1, B2, EPS = 0.01, 0.1, 0.9, 0.999, 1e-6


def trained(optimizer: str) -> np.ndarray:
    parameter = nn.Parameter(torch.tensor(START, dtype=torch.float32))
    options = TrainOptions(optimizer=optimizer, learning_rate=RATE)  # type: ignore[arg-type]
    step = build_optimizer(options, [{"params": [parameter], "lr": RATE, "weight_decay": DECAY, "block": "head"}])
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        step.step()
    return parameter.detach().numpy()


def formula(corrected: bool) -> np.ndarray:
    """Kingma & Ba 2015, Algorithm 1, with decoupled decay; without the correction, Devlin et al.'s release."""
    theta, m, v = START.copy(), np.zeros(3), np.zeros(3)
    for t, g in enumerate(GRADIENTS, start=1):
        m = B1 * m + (1 - B1) * g
        v = B2 * v + (1 - B2) * g**2
        first, second = (m / (1 - B1**t), v / (1 - B2**t)) if corrected else (m, v)
        theta = theta - RATE * (first / (np.sqrt(second) + EPS) + DECAY * theta)
    return theta


@pytest.mark.parametrize(("optimizer", "corrected"), [("adamw", True), ("bertadam", False)])
def test_the_optimizer_follows_its_formula(optimizer: str, corrected: bool) -> None:
    np.testing.assert_allclose(trained(optimizer), formula(corrected), rtol=2e-6, atol=1e-6)
    assert not np.allclose(trained(optimizer), formula(not corrected), rtol=1e-3)


def test_the_first_step_without_correction_is_about_three_times_adams() -> None:
    """(1−β₁)/√(1−β₂) = 0.1/√0.001 = 3.16 against 1."""
    for name, size in (("adamw", 1.0), ("bertadam", 0.1 / math.sqrt(0.001))):
        parameter = nn.Parameter(torch.zeros(1))
        groups = [{"params": [parameter], "lr": 1.0, "weight_decay": 0.0, "block": "head"}]
        optimizer = build_optimizer(TrainOptions(optimizer=name), groups)  # type: ignore[arg-type]
        parameter.grad = torch.ones(1)
        optimizer.step()
        assert -parameter.item() == pytest.approx(size, rel=1e-4)


def test_groups_hold_every_parameter_once_and_spare_biases_and_norms_from_decay(tiny_model: Path) -> None:
    model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    groups = parameter_groups(model, anatomy(model), TrainOptions(weight_decay=0.1))
    names = {id(p): name for name, p in model.named_parameters()}

    check_groups(groups, model)
    spared = {names[id(p)] for group in groups if group["weight_decay"] == 0 for p in group["params"]}
    assert spared == {n for n in names.values() if n.endswith(".bias") or ".LayerNorm." in n}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.1}


def test_a_lost_parameter_is_noticed(tiny_model: Path) -> None:
    model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    groups = parameter_groups(model, anatomy(model), TrainOptions())
    groups[0]["params"].pop()

    with pytest.raises(AssertionError, match="lost or doubled"):
        check_groups(groups, model)


def test_the_linear_schedule_falls_from_one_to_one_over_t() -> None:
    schedule = base_schedule(TrainOptions(), 4)

    assert [schedule(step) for step in range(4)] == [1.0, 0.75, 0.5, 0.25]
    assert {base_schedule(TrainOptions(schedule="constant"), 4)(step) for step in range(4)} == {1.0}


def test_every_group_keeps_its_share_of_the_rate_and_the_heads_is_returned() -> None:
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))], "lr": rate, "weight_decay": 0.0, "block": block}
        for rate, block in ((0.5, "embeddings"), (1.0, "head"))
    ]
    optimizer = build_optimizer(TrainOptions(), groups)

    assert set_learning_rates(optimizer, 0.1) == pytest.approx(0.1)
    set_learning_rates(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.2])
