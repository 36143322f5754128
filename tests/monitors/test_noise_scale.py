"""The noise scale: its formula on recorded gradients, and its estimates on gradients of known signal and noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from recorder import Recorder, value
from torch import nn

from stabbench.models.batch import Batch
from stabbench.monitors.noise_scale import NoiseScale, halves, noise_scale, signal_and_noise

Watched = Callable[..., Recorder]


def test_the_first_measurement_is_the_formula_on_the_gradients_of_the_two_halves(
    watched: Watched, tiny_model_without_dropout: object
) -> None:
    """At step 0 the weights are known: the halves' gradients are taken again by plain backward passes."""
    monitor = NoiseScale(every=100)
    seen = watched([monitor], batch_size=8, epochs=1)
    model = seen.model
    for parameter, before in zip(model.parameters(), seen.weights[0], strict=True):
        parameter.data.copy_(torch.tensor(before))
    (batch,) = seen.batches[0]

    def gradient(rows: slice) -> np.ndarray:
        model.zero_grad()
        assert batch.labels is not None
        logits = model(input_ids=batch.input_ids[rows], attention_mask=batch.attention_mask[rows]).logits
        nn.functional.cross_entropy(logits, batch.labels[rows]).backward()
        return np.concatenate([p.grad.double().numpy().ravel() for p in model.parameters() if p.grad is not None])

    one, two = gradient(slice(0, 4)), gradient(slice(4, 8))
    big, small = (((one + two) / 2) ** 2).sum(), ((one**2).sum() + (two**2).sum()) / 2
    found = monitor.arrays()

    assert (found["noise_step"].tolist(), found["noise_batch"].tolist()) == ([0], [8])
    np.testing.assert_allclose(found["noise_signal"][0], (8 * big - 4 * small) / 4, rtol=1e-3)
    np.testing.assert_allclose(found["noise_trace"][0], (small - big) / (1 / 4 - 1 / 8), rtol=1e-3)
    assert value(monitor, "gradient.noise_scale") == noise_scale(found["noise_signal"], found["noise_trace"])


def test_both_estimates_are_unbiased() -> None:
    """Gradients g_i = G + e_i with ‖G‖² = 4 and tr Σ = 50: the means over many draws come out so."""
    rng = np.random.default_rng(0)
    signal, spread = np.array([2.0] + [0.0] * 49), 1.0
    draws = []
    for _ in range(4000):
        halves_ = signal + rng.normal(0, spread, (2, 8, 50)).mean(axis=1)
        part, whole = (halves_**2).sum(axis=1).mean(), (halves_.mean(axis=0) ** 2).sum()
        draws.append([float(x) for x in signal_and_noise(torch.tensor(whole), torch.tensor(part), 16, 8)])
    mean, error = np.mean(draws, axis=0), np.std(draws, axis=0) / math.sqrt(4000)

    assert abs(mean[0] - 4) < 4 * error[0]
    assert abs(mean[1] - 50) < 4 * error[1]


def test_the_ratio_is_of_sums_and_says_what_it_cannot_be() -> None:
    assert noise_scale(np.array([1.0, 3.0]), np.array([10.0, 30.0])) == 10.0
    assert noise_scale(np.array([1.0, -3.0]), np.array([10.0, 30.0])) == math.inf
    assert math.isnan(noise_scale(np.array([math.nan]), np.array([1.0])) or 0.0)
    assert noise_scale(np.zeros(0), np.zeros(0)) is None


def batch(size: int) -> Batch:
    ids = torch.arange(size).unsqueeze(1)
    return Batch(ids, torch.ones_like(ids), None, torch.arange(size), tuple(f"e{i}" for i in range(size)))


def test_halves_are_micro_batches_where_there_are_two_of_one_size_else_cut() -> None:
    assert halves([batch(3), batch(3)]) is not None
    first, second = halves([batch(5)]) or (batch(1), batch(1))
    assert (first.examples, second.examples) == (("e0", "e1"), ("e2", "e3"))
    assert second.labels is not None
    assert second.labels.tolist() == [2, 3]
    assert halves([batch(4), batch(2)]) is not None
    assert halves([batch(1)]) is None


def test_batches_of_one_example_have_no_noise_scale(watched: Watched) -> None:
    monitor = NoiseScale(every=1)
    watched([monitor], batch_size=1, epochs=1)

    assert monitor.arrays()["noise_signal"].shape == (0,)
    assert value(monitor, "gradient.noise_scale") is None
