"""The weight average against its sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.ema import Ema

PATH = np.random.default_rng(0).normal(size=(20, 3))


def averaged(half_life: float, points: np.ndarray, start: float = 0.0) -> np.ndarray:
    model = nn.Linear(3, 1, bias=False)
    stabilizer = Ema(half_life=half_life)
    parts: Any = None  # the average does not ask for the anatomy
    with torch.no_grad():
        model.weight.fill_(start)
        stabilizer.prepare_model(model, parts, TrialSeeds(0, 0), len(points))
        for step, point in enumerate(points):
            model.weight.copy_(torch.tensor(point).view(1, 3))
            stabilizer.on_step(model, step)
    stabilizer.finish_model(model)
    return model.weight.detach().numpy()[0]


@pytest.mark.parametrize("half_life", [0.05, 0.25, 1.0])
def test_it_is_the_normalised_exponential_sum_over_all_steps(half_life: float) -> None:
    """Σ d^(T−t) θ_t / Σ d^(T−t): an age of half_life · T steps halves the share."""
    ages = np.arange(len(PATH))[::-1]
    shares = 0.5 ** (ages / (half_life * len(PATH)))

    np.testing.assert_allclose(averaged(half_life, PATH), shares @ PATH / shares.sum(), rtol=1e-5, atol=1e-6)


def test_the_starting_weights_have_no_share() -> None:
    np.testing.assert_array_equal(averaged(0.5, PATH, start=0.0), averaged(0.5, PATH, start=1e3))


def test_the_average_of_a_constant_is_that_constant() -> None:
    np.testing.assert_allclose(averaged(0.3, np.full((9, 3), 0.7)), np.full(3, 0.7), rtol=1e-6)


def test_no_half_life_keeps_the_bits_of_the_last_weights() -> None:
    np.testing.assert_array_equal(averaged(0.0, PATH), PATH[-1].astype(np.float32))
