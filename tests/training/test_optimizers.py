"""The optimizers against NumPy, and the parameter groups against the module types."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import Optimizer

from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.suite.train_options import OptimizerName, TrainOptions
from stabbench.training.optimizers import build_optimizer, check_groups, parameter_groups, set_learning_rates
from stabbench.training.schedule_free import evaluation_weights, settle

RNG = np.random.default_rng(0)
STEPS = 12
START = {"matrix": RNG.normal(size=(4, 3)), "vector": RNG.normal(size=5)}
# One gradient far out of scale, for what clips.
SCALES = [30.0 if t == 8 else 1.0 for t in range(STEPS)]
GRADIENTS = {name: [RNG.normal(size=x.shape) * k for k in SCALES] for name, x in START.items()}
RATE, DECAY, B1, B2, EPS = 0.01, 0.1, 0.9, 0.999, 1e-6
OWN = ["stable_adamw", "sgd", "adafactor", "lion", "schedule_free"]
Formula = Callable[[np.ndarray, list[np.ndarray]], np.ndarray]


def made(optimizer: str, parameter: nn.Parameter, **options: Any) -> Optimizer:
    group = {"params": [parameter], "lr": RATE, "weight_decay": DECAY, "block": "head"}
    return build_optimizer(TrainOptions(optimizer=optimizer, learning_rate=RATE, **options), [group])  # type: ignore[arg-type]


def trained(optimizer: str, name: str, **options: Any) -> np.ndarray:
    parameter = nn.Parameter(torch.tensor(START[name], dtype=torch.float32))
    step = made(optimizer, parameter, **options)
    for gradient in GRADIENTS[name]:
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        step.step()
    settle(step)
    return parameter.detach().numpy()


def adam(theta: np.ndarray, gradients: list[np.ndarray], corrected: bool, b2: float = B2) -> np.ndarray:
    """Kingma & Ba 2015, Algorithm 1, with decoupled decay; without the correction, Devlin et al.'s release."""
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        m = B1 * m + (1 - B1) * g
        v = b2 * v + (1 - b2) * g**2
        first, second = (m / (1 - B1**t), v / (1 - b2**t)) if corrected else (m, v)
        theta = theta - RATE * (first / (np.sqrt(second) + EPS) + DECAY * theta)
    return theta


def stable_adamw(theta: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Wortsman et al. 2023, Algorithm 2, with the debiased betas that the algorithm is written with."""
    v, u = np.zeros_like(theta), np.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        b1, b2 = (b * (1 - b ** (t - 1)) / (1 - b**t) for b in (B1, B2))
        v = b1 * v + (1 - b1) * g
        u = b2 * u + (1 - b2) * g**2
        rms = np.sqrt(np.mean(g**2 / np.maximum(u, EPS**2)))
        rate = RATE / max(1.0, rms)
        theta = theta - rate * DECAY * theta - rate * v / (np.sqrt(u) + EPS)
    return theta


def sgd(theta: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    m = np.zeros_like(theta)
    for g in gradients:
        m = 0.9 * m + g
        theta = theta - RATE * (m + DECAY * theta)
    return theta


def lion(theta: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Chen et al. 2023, Algorithm 2, with β = (0.9, 0.99)."""
    m = np.zeros_like(theta)
    for g in gradients:
        theta = theta - RATE * (np.sign(0.9 * m + 0.1 * g) + DECAY * theta)
        m = 0.99 * m + 0.01 * g
    return theta


def adafactor(theta: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Shazeer & Stern 2018, Algorithms 4 and 5, in sums as the paper writes them."""
    r, c, v = (np.zeros(theta.shape[0]), np.zeros(theta.shape[-1]), np.zeros_like(theta))
    for t, g in enumerate(gradients, start=1):
        beta = 1 - t**-0.8
        square = g**2 + 1e-30
        if theta.ndim == 2:
            r = beta * r + (1 - beta) * square.sum(axis=1)
            c = beta * c + (1 - beta) * square.sum(axis=0)
            second = np.outer(r, c) / r.sum()
        else:
            second = v = beta * v + (1 - beta) * square
        u = g / np.sqrt(second)
        theta = theta - RATE * (u / max(1.0, np.sqrt(np.mean(u**2))) + DECAY * theta)
    return theta


def schedule_free(theta: np.ndarray, gradients: list[np.ndarray]) -> np.ndarray:
    """Defazio et al. 2024, Algorithm 1, with all three sequences written out; returns x."""
    x = y = z = theta
    v, total = np.zeros_like(theta), 0.0
    for t, g in enumerate(gradients, start=1):
        v = B2 * v + (1 - B2) * g**2
        rate = RATE * np.sqrt(1 - B2**t)
        z = z - rate * g / (np.sqrt(v) + EPS) - rate * DECAY * y
        total += rate**2
        x = (1 - rate**2 / total) * x + rate**2 / total * z
        y = (1 - B1) * z + B1 * x
    return x


FORMULAS: dict[str, Formula] = {
    "adamw": partial(adam, corrected=True),
    "bertadam": partial(adam, corrected=False),
    "stable_adamw": stable_adamw,
    "sgd": sgd,
    "lion": lion,
    "adafactor": adafactor,
    "schedule_free": schedule_free,
}


def test_every_optimizer_has_a_formula_here() -> None:
    assert set(FORMULAS) == set(get_args(OptimizerName))


@pytest.mark.parametrize("name", START)
@pytest.mark.parametrize("optimizer", FORMULAS)
def test_the_optimizer_follows_its_formula(optimizer: str, name: str) -> None:
    found = trained(optimizer, name)

    np.testing.assert_allclose(found, FORMULAS[optimizer](START[name], GRADIENTS[name]), rtol=1e-5, atol=2e-6)
    others = [formula for other, formula in FORMULAS.items() if other != optimizer]
    assert not any(np.allclose(found, f(START[name], GRADIENTS[name]), rtol=1e-3) for f in others)


def test_update_clipping_shrinks_the_step_that_a_wild_gradient_asks_for() -> None:
    """Without it, the formula is Adam's: the two part at the gradient that is 30 times too large."""
    plain = adam(START["matrix"], GRADIENTS["matrix"], corrected=True)

    assert np.abs(trained("stable_adamw", "matrix") - plain).max() > RATE / 10


def test_adafactor_is_that_of_transformers_with_an_external_rate() -> None:
    from transformers.optimization import Adafactor

    for name in START:
        parameter = nn.Parameter(torch.tensor(START[name], dtype=torch.float32))
        options = {"lr": RATE, "weight_decay": DECAY, "scale_parameter": False, "relative_step": False}
        other = Adafactor([parameter], warmup_init=False, **options)
        for gradient in GRADIENTS[name]:
            parameter.grad = torch.tensor(gradient, dtype=torch.float32)
            other.step()
        np.testing.assert_allclose(trained("adafactor", name), parameter.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["adamw", "bertadam"])
def test_beta2_is_the_decay_rate_of_the_second_moment(optimizer: str) -> None:
    expected = adam(START["vector"], GRADIENTS["vector"], corrected=optimizer == "adamw", b2=0.98)

    np.testing.assert_allclose(trained(optimizer, "vector", beta2=0.98), expected, rtol=1e-5, atol=2e-6)


def test_an_optimizer_without_a_beta2_refuses_one() -> None:
    with pytest.raises(ValueError, match="optimizer 'sgd' has none"):
        TrainOptions(optimizer="sgd", beta2=0.98)


@pytest.mark.parametrize("optimizer", OWN)
def test_a_step_reads_nothing_back_from_the_device(optimizer: str) -> None:
    """Tensors on the meta device have no values: whatever waited for one would raise."""
    for shape in ((4, 3), (5,)):
        parameter = nn.Parameter(torch.zeros(shape, device="meta"))
        step = made(optimizer, parameter)
        for _ in range(2):
            parameter.grad = torch.zeros(shape, device="meta")
            step.step()
        settle(step)


@pytest.mark.parametrize("optimizer", FORMULAS)
def test_gradients_are_left_as_they_were_and_a_parameter_without_one_stays(optimizer: str) -> None:
    """Rows of the word embeddings' gradient that are zero must stay so, and frozen parts must not decay."""
    moving, frozen = (nn.Parameter(torch.ones(3)) for _ in range(2))
    group = {"params": [moving, frozen], "lr": RATE, "weight_decay": DECAY, "block": "head"}
    step = build_optimizer(TrainOptions(optimizer=optimizer), [group])  # type: ignore[arg-type]
    moving.grad = torch.tensor([1.0, 0.0, -2.0])

    for _ in range(3):
        step.step()

    assert moving.grad.tolist() == [1.0, 0.0, -2.0]
    assert frozen.tolist() == [1.0, 1.0, 1.0]
    assert (moving != 1).any()


@pytest.mark.parametrize("optimizer", OWN)
def test_a_parameter_that_joins_late_begins_its_own_count(optimizer: str) -> None:
    early, late = (nn.Parameter(torch.ones(3)) for _ in range(2))
    group = {"params": [early, late], "lr": RATE, "weight_decay": 0.0, "block": "head"}
    step = build_optimizer(TrainOptions(optimizer=optimizer), [group])  # type: ignore[arg-type]
    gradients = torch.tensor([[1.0, 0.5, -2.0], [0.3, 2.0, 1.0]])
    for index in (None, 0, 1):
        early.grad = torch.ones(3) if index is None else gradients[index]
        late.grad = None if index is None else gradients[index]
        step.step()

    alone = nn.Parameter(torch.ones(3))
    other = build_optimizer(TrainOptions(optimizer=optimizer), [{**group, "params": [alone]}])  # type: ignore[arg-type]
    for gradient in gradients:
        alone.grad = gradient
        other.step()
    torch.testing.assert_close(late, alone)


def test_schedule_free_shows_the_average_for_a_while_and_goes_on_where_it_was() -> None:
    parameter = nn.Parameter(torch.tensor(START["vector"], dtype=torch.float32))
    step = made("schedule_free", parameter)
    for count, gradient in enumerate(GRADIENTS["vector"], start=1):
        parameter.grad = torch.tensor(gradient, dtype=torch.float32)
        step.step()
        before = parameter.detach().clone()
        with evaluation_weights(step):
            expected = schedule_free(START["vector"], GRADIENTS["vector"][:count])
            np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-5, atol=2e-6)
        assert torch.equal(parameter, before)


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


def test_every_group_keeps_its_share_of_the_rate_and_the_heads_is_returned() -> None:
    groups = [
        {"params": [nn.Parameter(torch.zeros(1))], "lr": rate, "weight_decay": 0.0, "block": block}
        for rate, block in ((0.5, "embeddings"), (1.0, "head"))
    ]
    optimizer = build_optimizer(TrainOptions(), groups)

    assert set_learning_rates(optimizer, 0.1) == pytest.approx(0.1)
    set_learning_rates(optimizer, 0.2)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.1, 0.2])
