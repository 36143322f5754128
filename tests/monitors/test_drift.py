"""Drift against the distances of recorded weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from recorder import Recorder, value

from stabbench.monitors.drift import Drift

Watched = Callable[..., Recorder]


def test_it_is_the_relative_distance_from_the_first_weights_on_the_period_and_at_the_end(watched: Watched) -> None:
    drift = Drift(every=3)
    seen = watched([drift])
    found = drift.arrays()

    def distance(done: int) -> np.ndarray:
        pairs = zip(seen.weights[done], seen.weights[0], strict=True)
        moved = seen.by_block([float(((a - b) ** 2).sum()) for a, b in pairs])
        return np.asarray(np.sqrt(moved / seen.by_block([float((b**2).sum()) for b in seen.weights[0]])))

    assert found["drift_step"].tolist() == [3, 6, 8], "2 epochs of 4 steps, the last measured though off the period"
    np.testing.assert_allclose(found["drift"], np.stack([distance(t) for t in (3, 6, 8)]), rtol=1e-4)
    whole = np.concatenate([w.ravel() for w in seen.weights[8]]) - np.concatenate([w.ravel() for w in seen.weights[0]])
    size = np.linalg.norm(np.concatenate([w.ravel() for w in seen.weights[0]]))
    assert value(drift, "train.drift") == pytest.approx(np.linalg.norm(whole) / size, rel=1e-4)
    assert value(drift, "train.drift", block="head") == pytest.approx(distance(8)[-1], rel=1e-4)


def test_an_end_on_the_period_is_measured_once(watched: Watched) -> None:
    drift = Drift(every=4)
    watched([drift])

    assert drift.arrays()["drift_step"].tolist() == [4, 8]
