"""Shares, entropies and log Z against SciPy; plateau and collapse against trainings that show them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recorder import Recorder, value
from scipy.special import logsumexp, softmax
from scipy.stats import entropy

from stabbench.models.batch import Batch
from stabbench.monitors.base import Step
from stabbench.monitors.outputs import Outputs, collapse_share, plateau_share, windows

Watched = Callable[..., Recorder]


def test_every_step_is_what_scipy_makes_of_its_logits(watched: Watched) -> None:
    monitor = Outputs()
    seen = watched([monitor])
    found = monitor.arrays()

    for t, (logits, labels) in enumerate(zip(seen.logits, seen.labels, strict=True)):
        np.testing.assert_allclose(found["predicted_share"][t], np.eye(2)[logits.argmax(axis=1)].mean(axis=0))
        np.testing.assert_allclose(found["label_share"][t], np.eye(2)[labels].mean(axis=0))
        np.testing.assert_allclose(found["entropy"][t], entropy(softmax(logits, axis=1), axis=1).mean(), rtol=1e-4)
        np.testing.assert_allclose(found["log_z"][t], logsumexp(logits, axis=1).mean(), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found["max_logit"][t], np.abs(logits).max(), rtol=1e-5)
    assert value(monitor, "train.max_logit") == pytest.approx(max(np.abs(x).max() for x in seen.logits), rel=1e-5)


def step(logits: torch.Tensor, labels: torch.Tensor) -> Step:
    batch = Batch(torch.zeros(len(labels), 1), torch.ones(len(labels), 1), None, labels)
    one = torch.tensor(1.0)
    return Step(0, one, one, one, one, 0.1, torch.nn.Identity(), logits, [batch], torch.optim.SGD([one], 1.0))


def observed(logits: torch.Tensor, labels: torch.Tensor) -> Outputs:
    monitor = Outputs()
    monitor.start(torch.nn.Identity(), None, 1)  # type: ignore[arg-type]  # not looked at
    monitor.observe(step(logits, labels))
    return monitor


def test_tokens_that_are_not_scored_are_left_out_even_where_they_are_not_finite() -> None:
    logits = torch.tensor([[[3.0, 0.0], [math.nan, 0.0]], [[0.0, 2.0], [math.inf, 0.0]]])

    found = observed(logits, torch.tensor([[0, -100], [0, -100]])).arrays()

    assert found["predicted_share"].tolist() == [[0.5, 0.5]]
    assert found["label_share"].tolist() == [[1.0, 0.0]]
    np.testing.assert_allclose(found["log_z"], logsumexp([[3, 0], [0, 2]], axis=1).mean(), rtol=1e-6)


def test_a_row_that_is_not_finite_predicts_no_class() -> None:
    found = observed(torch.tensor([[math.nan, 1.0], [0.0, 1.0]]), torch.tensor([0, 1])).arrays()

    assert found["predicted_share"].tolist() == [[0.0, 0.5]]
    assert math.isnan(found["entropy"][0])


def test_a_regression_has_its_largest_output_alone() -> None:
    monitor = observed(torch.tensor([[1.0], [-4.0]]), torch.tensor([0.5, 0.1]))

    assert {name: list(array) for name, array in monitor.arrays().items()} == {"max_logit": [4.0]}
    assert [m.metric for m in monitor.measurements()] == ["train.max_logit"]


def test_a_run_that_learns_leaves_the_plateau_and_one_that_stands_still_is_all_plateau(watched: Watched) -> None:
    learns, stands = Outputs(window=4), Outputs(window=4)
    watched([learns], epochs=15)
    watched([stands], epochs=15, learning_rate=1e-9)

    assert (value(learns, "train.plateau") or 0) < 0.5
    assert (value(stands, "train.plateau") or 0) > 0.8
    # Early steps of the tiny model answer one class; a run that learns does not stay there.
    assert (value(learns, "train.collapse") or 0) < 0.5


def test_a_plateau_is_measured_against_the_entropy_of_the_labels() -> None:
    labels = np.tile([0.25, 0.75], (20, 1))
    h = entropy([0.25, 0.75])

    assert plateau_share(np.full(20, 0.98 * h), labels, 5, 0.97) == 1
    assert plateau_share(np.full(20, 0.96 * h), labels, 5, 0.97) == 0
    assert plateau_share(np.full(20, math.nan), labels, 5, 0.97) == 1
    half = np.r_[np.full(10, h), np.full(10, 0.1)]
    assert plateau_share(half, labels, 1, 0.97) == 0.5


def test_a_collapse_needs_one_predicted_class_under_balanced_labels() -> None:
    one, even = np.tile([1.0, 0.0], (10, 1)), np.tile([0.5, 0.5], (10, 1))

    assert collapse_share(one, even, 4, 0.95, 0.8) == 1
    assert collapse_share(even, even, 4, 0.95, 0.8) == 0
    assert collapse_share(one, one, 4, 0.95, 0.8) == 0, "one label is no collapse of the model"
    swings = np.tile([[1.0, 0.0], [0.0, 1.0]], (5, 1))
    assert collapse_share(swings, even, 4, 0.95, 0.8) == 0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(1, 40))
def test_windows_are_trailing_means(values: list[float], width: int) -> None:
    found = windows(np.array(values), width)
    k = min(width, len(values))

    np.testing.assert_allclose(found, [np.mean(values[i : i + k]) for i in range(len(values) - k + 1)], atol=1e-9)
