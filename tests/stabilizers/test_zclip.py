"""ZClip against Algorithm and equations of Kumar et al. 2025, in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_gradients import arrays_of, made
from torch import nn

from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.zclip import Zclip


def norms() -> np.ndarray:
    found = 0.5 + 0.05 * np.random.default_rng(1).normal(size=60)
    found[[30, 45]] = 3.0, 0.9  # a large and a small spike
    return found


def lengths(given: np.ndarray, **options: float) -> np.ndarray:
    stabilizer = Zclip(**options)  # type: ignore[arg-type]
    stabilizer.prepare_model(nn.Linear(1, 1), None, TrialSeeds(0, 0), len(given))  # type: ignore[arg-type]
    found = []
    for step, norm in enumerate(given):
        gradients = made([np.array([0.6 * norm]), np.array([0.0, 0.8 * norm])], step=step)
        stabilizer.on_gradients(gradients)
        found.append(np.sqrt(sum(float((array**2).sum()) for array in arrays_of(gradients))))
    return np.array(found)


def by_formula(given: np.ndarray, threshold: float, alpha: float, first: int, cap: float) -> np.ndarray:
    found, mean, variance = [], 0.0, 0.0
    for step, norm in enumerate(given):
        kept = norm
        if step >= first:
            z = (norm - mean) / (math.sqrt(variance) + 1e-6)
            if z > threshold:
                kept = mean + threshold * math.sqrt(variance) / (z / threshold)
            mean = alpha * mean + (1 - alpha) * kept
            variance = alpha * variance + (1 - alpha) * (kept - mean) ** 2
        elif step == first - 1:
            mean, variance = float(np.mean(given[:first])), float(np.var(given[:first]))
        found.append(min(kept, cap))
    return np.array(found)


@pytest.mark.parametrize(("alpha", "threshold", "cap"), [(0.97, 2.5, 1.0), (0.8, 1.0, math.inf), (0.97, 2.5, 0.51)])
def test_spikes_are_pulled_to_the_average_and_enter_it_clipped(alpha: float, threshold: float, cap: float) -> None:
    found = lengths(norms(), alpha=alpha, z_threshold=threshold, max_norm=cap)

    np.testing.assert_allclose(found, by_formula(norms(), threshold, alpha, 25, cap), rtol=1e-4)


def test_a_larger_spike_is_clipped_harder_than_a_smaller_one() -> None:
    given = norms()
    higher = given.copy()
    higher[30] = 300.0

    assert lengths(higher)[30] < lengths(given)[30] < 0.7


def test_before_the_averages_begin_only_the_cap_acts() -> None:
    given = np.array([0.2, 40.0, 0.2, 3.0])

    np.testing.assert_allclose(lengths(given, max_norm=1.0), [0.2, 1.0, 0.2, 1.0], rtol=1e-5)
    np.testing.assert_allclose(lengths(given, max_norm=math.inf), given, rtol=1e-5)


def test_equal_norms_are_never_clipped() -> None:
    np.testing.assert_allclose(lengths(np.full(40, 0.3)), np.full(40, 0.3), rtol=1e-6)


def test_a_nan_is_not_hidden() -> None:
    stabilizer = Zclip()
    stabilizer.prepare_model(nn.Linear(1, 1), None, TrialSeeds(0, 0), 4)  # type: ignore[arg-type]
    gradients = made([np.array([np.nan, 1.0])])

    stabilizer.on_gradients(gradients)

    assert np.isnan(arrays_of(gradients)[0][0])
