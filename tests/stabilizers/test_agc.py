"""Adaptive gradient clipping against equation (3) of Brock et al. 2021."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from made_gradients import arrays_of, made

from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.agc import Agc
from stabbench.stabilizers.base import Gradients

RNG = np.random.default_rng(0)
WEIGHTS = [RNG.normal(size=(5, 3)), RNG.normal(size=4) * 10, np.zeros(2), RNG.normal(size=(2, 3, 4))]
GRADIENTS = [RNG.normal(size=weight.shape) * scale for weight, scale in zip(WEIGHTS, [0.02, 1, 1, 0.1], strict=True)]


def clipped(factor: float, eps: float) -> list[np.ndarray]:
    stabilizer = Agc(clip_factor=factor, eps=eps)
    stabilizer._head = set()
    gradients = made(GRADIENTS, WEIGHTS)
    stabilizer.on_gradients(gradients)
    return arrays_of(gradients)


def by_formula(weight: np.ndarray, gradient: np.ndarray, factor: float, eps: float) -> np.ndarray:
    w, g = max(float(np.sqrt((weight**2).sum())), eps), float(np.sqrt((gradient**2).sum()))
    return gradient * (factor * w / g) if g / w > factor else gradient


def test_rows_of_matrices_and_whole_vectors_are_bounded_by_their_own_norm() -> None:
    """Gᵢ · λ max(‖Wᵢ‖, ε)/‖Gᵢ‖ where ‖Gᵢ‖/max(‖Wᵢ‖, ε) > λ."""
    found = clipped(0.02, 1e-3)

    changed = 0
    for weight, gradient, result in zip(WEIGHTS, GRADIENTS, found, strict=True):
        rows = range(len(weight)) if weight.ndim > 1 else [...]
        for row in rows:
            expected = by_formula(weight[row], gradient[row], 0.02, 1e-3)  # type: ignore[index]
            np.testing.assert_allclose(result[row], expected, rtol=1e-5)  # type: ignore[index]
            changed += not np.allclose(expected, gradient[row])  # type: ignore[index]
    assert 2 <= changed < 9, "the case must hold clipped rows and others"


def test_a_weight_of_zero_can_move_by_lambda_epsilon() -> None:
    np.testing.assert_allclose(np.linalg.norm(clipped(0.5, 1e-2)[2]), 0.5e-2, rtol=1e-5)


def test_rows_within_the_bound_keep_their_bits_and_rows_without_gradient_stay_at_zero() -> None:
    gradient = np.array([[0.0, 0.0], [1e-3, 0.0], [5.0, 5.0]])
    gradients = made([gradient], [np.ones((3, 2))])
    stabilizer = Agc(clip_factor=0.1)
    stabilizer._head = set()

    stabilizer.on_gradients(gradients)

    (found,) = arrays_of(gradients)
    np.testing.assert_array_equal(found[:2], gradient[:2].astype(np.float32))
    assert (found[2] < 0.2).all()


def test_a_nan_is_not_hidden() -> None:
    gradients = made([np.array([[np.nan, 1.0], [9.0, 9.0]])], [np.ones((2, 2))])
    stabilizer = Agc(clip_factor=0.1)
    stabilizer._head = set()

    stabilizer.on_gradients(gradients)

    assert np.isnan(arrays_of(gradients)[0][0, 0])


def test_the_head_is_left_out_and_everything_else_is_not(tiny_model: Path) -> None:
    model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    parts = anatomy(model)
    stabilizer = Agc(clip_factor=1e-6)
    stabilizer.prepare_model(model, parts, TrialSeeds(0, 0), 1)
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)

    stabilizer.on_gradients(
        Gradients(parameters, torch.stack([p.grad.norm() for p in parameters if p.grad is not None]), 0)
    )

    kept = {parts.block_of[n] for n, p in model.named_parameters() if torch.equal(p.grad, torch.ones_like(p))}  # type: ignore[arg-type]
    assert kept == {"head"}
