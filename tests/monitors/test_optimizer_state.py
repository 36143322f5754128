"""RMS_t and the share that ε dominates, against NumPy and the optimizer's own constants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from recorder import Recorder, value
from torch import nn

from stabbench.monitors import optimizer_state
from stabbench.monitors.optimizer_state import OptimizerState
from stabbench.stabilizers.base import Stabilizer

Watched = Callable[..., Recorder]
BETA, EPS = 0.999, 1e-6


@pytest.mark.parametrize("optimizer", ["adamw", "bertadam"])
def test_it_is_the_papers_formula_per_block(watched: Watched, optimizer: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(optimizer_state, "PART", 100)  # parameters are looked at in several parts
    monitor = OptimizerState(every=3)
    seen = watched([monitor], optimizer=optimizer)
    found = monitor.arrays()

    assert found["optimizer_step"].tolist() == [0, 3, 6]
    for row, t in enumerate([0, 3, 6]):
        correction = 1 - BETA ** (t + 1) if optimizer == "adamw" else 1.0
        squares, small, counts = [], [], []
        for g, v in zip(seen.applied[t], seen.second[t], strict=True):
            squares.append(float((g**2 / np.maximum(v / correction, EPS**2)).sum()))
            small.append(float((np.sqrt(v / correction) < 10 * EPS).sum()))
            counts.append(float(g.size))
        expected = np.sqrt(seen.by_block(squares) / seen.by_block(counts))
        np.testing.assert_allclose(found["adam_rms"][row], expected, rtol=1e-3)
        np.testing.assert_allclose(found["epsilon_share"][row], seen.by_block(small) / seen.by_block(counts), rtol=1e-5)
    assert value(monitor, "optimizer.adam_rms") == pytest.approx(found["adam_rms"].max())
    assert value(monitor, "optimizer.epsilon_share") == pytest.approx(sum(small) / sum(counts), rel=1e-5)


def test_a_missing_bias_correction_begins_at_one_over_the_root_of_one_minus_beta(watched: Watched) -> None:
    """At the first step v = (1 − β₂) g²: g²/v is 1000, RMS_t 31.6; corrected it is g²/g² = 1."""
    first = {}
    for optimizer in ("adamw", "bertadam"):
        monitor = OptimizerState()
        watched([monitor], optimizer=optimizer, epochs=1)
        first[optimizer] = monitor.arrays()["adam_rms"][0][-1]

    assert first["adamw"] == pytest.approx(1.0, rel=1e-2)
    assert first["bertadam"] == pytest.approx(math.sqrt(1000), rel=1e-2)


def test_an_optimizer_without_a_second_moment_gives_no_arrays_and_no_value(watched: Watched) -> None:
    class Sgd(Stabilizer):
        def wrap_optimizer(self, optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
            groups = [{**g, "momentum": 0.0} for g in optimizer.param_groups]
            return torch.optim.SGD(groups, lr=1e-3)

    monitor = OptimizerState()
    watched([monitor], [Sgd()])

    assert monitor.arrays() == {}
    assert value(monitor, "optimizer.adam_rms") is None
    assert value(monitor, "optimizer.epsilon_share") is None


def test_a_block_that_is_not_trained_is_nan(watched: Watched) -> None:
    class Frozen(Stabilizer):
        def prepare_model(self, model: nn.Module, anatomy: Any, seeds: Any, steps: int) -> None:
            anatomy.embeddings.requires_grad_(False)

    monitor = OptimizerState()
    watched([monitor], [Frozen()])

    assert np.isnan(monitor.arrays()["adam_rms"][0]).tolist() == [True, False, False, False, False]
    assert value(monitor, "optimizer.adam_rms") is not None
