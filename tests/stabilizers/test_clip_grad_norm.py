"""Global norm clipping against its formula."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stabbench.stabilizers.base import Gradients
from stabbench.stabilizers.clip_grad_norm import ClipGradNorm

VECTORS = st.lists(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=4), min_size=1, max_size=4)


def clipped(vectors: list[list[float]], max_norm: float) -> list[np.ndarray]:
    parameters = [nn.Parameter(torch.zeros(len(vector))) for vector in vectors]
    for parameter, vector in zip(parameters, vectors, strict=True):
        parameter.grad = torch.tensor(vector)
    norms = torch.stack([torch.tensor(vector).norm() for vector in vectors])
    ClipGradNorm(max_norm=max_norm).on_gradients(Gradients(parameters, norms, 0))
    return [parameter.grad.numpy() for parameter in parameters if parameter.grad is not None]


@given(vectors=VECTORS, max_norm=st.floats(0.01, 200))
def test_all_gradients_are_scaled_by_one_factor_of_the_global_norm(vectors: list[list[float]], max_norm: float) -> None:
    """g · min(1, c/‖g‖) with ‖g‖ over all tensors together (Pascanu et al. 2013, Algorithm 1)."""
    norm = math.sqrt(sum(x * x for vector in vectors for x in vector))
    factor = min(1.0, max_norm / norm) if norm > 0 else 1.0

    for found, vector in zip(clipped(vectors, max_norm), vectors, strict=True):
        np.testing.assert_allclose(found, np.array(vector) * factor, rtol=1e-4, atol=1e-6)


@given(vectors=VECTORS)
def test_a_gradient_inside_the_ball_keeps_its_bits(vectors: list[list[float]]) -> None:
    for found, vector in zip(clipped(vectors, 1e4), vectors, strict=True):
        np.testing.assert_array_equal(found, np.array(vector, dtype=np.float32))


def test_a_norm_that_is_not_finite_is_not_hidden() -> None:
    (found,) = clipped([[math.nan, 1.0]], 1.0)

    assert np.isnan(found).any()
