"""AutoClip against its percentile."""

from __future__ import annotations

import numpy as np
import pytest
from made_gradients import arrays_of, made
from torch import nn

from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.auto_clip import AutoClip

NORMS = np.random.default_rng(3).lognormal(0.0, 1.0, size=40)


def lengths(percentile: float, steps: int = 40) -> np.ndarray:
    """Feed gradients of the given norms, and return the norms after clipping."""
    stabilizer = AutoClip(percentile=percentile)
    stabilizer.prepare_model(nn.Linear(1, 1), None, TrialSeeds(0, 0), steps)  # type: ignore[arg-type]
    found = []
    for step, norm in enumerate(NORMS):
        # Two parameters with 0.6 and 0.8 of the norm: the percentile is of the global one.
        gradients = made([np.array([[0.6 * norm]]), np.array([0.0, 0.8 * norm])], step=step)
        stabilizer.on_gradients(gradients)
        found.append(np.sqrt(sum(float((array**2).sum()) for array in arrays_of(gradients))))
    return np.array(found)


@pytest.mark.parametrize("percentile", [0.0, 10.0, 50.0, 97.0])
def test_the_norm_is_clipped_at_the_percentile_of_all_norms_so_far_with_the_present_one(percentile: float) -> None:
    limits = np.array([np.percentile(NORMS[: step + 1], percentile) for step in range(len(NORMS))])

    np.testing.assert_allclose(lengths(percentile), np.minimum(NORMS, limits), rtol=1e-4)


def test_the_first_step_is_never_clipped_and_with_p_10_most_others_are() -> None:
    found = lengths(10.0)

    assert found[0] == pytest.approx(NORMS[0], rel=1e-6)
    assert np.mean(found < NORMS * (1 - 1e-4)) > 0.8


def test_more_steps_than_planned_are_remembered_too() -> None:
    np.testing.assert_array_equal(lengths(30.0, steps=3), lengths(30.0, steps=40))


def test_a_gradient_of_zero_stays_zero_and_a_nan_is_not_hidden() -> None:
    stabilizer = AutoClip(percentile=10.0)
    stabilizer.prepare_model(nn.Linear(1, 1), None, TrialSeeds(0, 0), 4)  # type: ignore[arg-type]
    zero, broken = made([np.zeros(2)]), made([np.array([np.nan, 1.0])])

    stabilizer.on_gradients(zero)
    stabilizer.on_gradients(broken)

    np.testing.assert_array_equal(arrays_of(zero)[0], np.zeros(2))
    assert np.isnan(arrays_of(broken)[0][0])
