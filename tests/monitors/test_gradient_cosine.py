"""The cosine of successive raw gradients, against NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from recorder import Recorder, value

from stabbench.monitors.gradient_cosine import GradientCosine
from stabbench.stabilizers.clip_grad_norm import ClipGradNorm

Watched = Callable[..., Recorder]


@pytest.mark.parametrize("stabilizers", [[], [ClipGradNorm(max_norm=1e-3)]])
def test_it_is_the_cosine_of_both_raw_gradients(watched: Watched, stabilizers: list[ClipGradNorm]) -> None:
    monitor = GradientCosine(every=3)
    seen = watched([monitor], stabilizers)
    flat = [np.concatenate([g.ravel() for g in step]) for step in seen.raw]

    expected = [flat[t] @ flat[t - 1] / np.linalg.norm(flat[t]) / np.linalg.norm(flat[t - 1]) for t in (1, 4, 7)]

    assert monitor.arrays()["cosine_step"].tolist() == [1, 4, 7]
    np.testing.assert_allclose(monitor.arrays()["gradient_cosine"], expected, atol=1e-4)
    assert value(monitor, "gradient.cosine") == pytest.approx(float(np.median(expected)), abs=1e-4)


def test_the_same_batch_at_a_vanishing_rate_has_cosine_1(watched: Watched) -> None:
    monitor = GradientCosine(every=2)
    watched([monitor], batch_size=16, epochs=4, learning_rate=1e-9)

    np.testing.assert_allclose(monitor.arrays()["gradient_cosine"], 1.0, atol=1e-5)


def test_a_training_of_one_step_has_no_pair_and_no_value(watched: Watched) -> None:
    monitor = GradientCosine()
    watched([monitor], batch_size=16, epochs=1)

    assert monitor.arrays()["gradient_cosine"].shape == (0,)
    assert value(monitor, "gradient.cosine") is None


def test_what_is_not_finite_has_no_cosine(watched: Watched) -> None:
    monitor = GradientCosine(every=2)
    watched([monitor], learning_rate=1e30)

    assert not np.isfinite(monitor.arrays()["gradient_cosine"]).any()
    assert value(monitor, "gradient.cosine") is None
