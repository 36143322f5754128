"""The trace against independent recomputation from its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabbench.data.example import Dataset, Example
from stabbench.monitors.trace import clip_factor, loss_spikes_of, spikes_of
from stabbench.training.request import TrainResult

FineTune = Callable[..., TrainResult]


def traced(result: TrainResult) -> dict[str, Any]:
    assert result.subject.folder is not None
    with np.load(result.subject.folder.parent / "trace.npz") as stored:
        return dict(stored)


def value(result: TrainResult, metric: str) -> float:
    found = next(m.value for m in result.measurements if m.metric == metric)
    assert found is not None
    return found


def test_shapes_are_as_promised(fine_tune_tiny: FineTune) -> None:
    trace = traced(fine_tune_tiny(epochs=8))

    steps, blocks = 24, 5
    assert trace["step"].tolist() == list(range(steps))
    assert all(trace[name].shape == (steps,) for name in ("cross_entropy", "objective", "learning_rate"))
    assert all(trace[name].shape == (steps, blocks) for name in ("raw_norm", "applied_norm"))
    assert trace["update_step"].tolist() == [0, 20]
    assert trace["update_ratio"].shape == (2, blocks)


def test_without_stabilizers_applied_is_raw_and_objective_is_the_cross_entropy(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny()
    trace = traced(result)

    np.testing.assert_array_equal(trace["applied_norm"], trace["raw_norm"])
    np.testing.assert_array_equal(trace["objective"], trace["cross_entropy"])
    assert value(result, "gradient.clip_rate") == 0


def test_clipping_shows_in_applied_norms_only_and_its_rate_is_counted(fine_tune_tiny: FineTune) -> None:
    raw = np.linalg.norm(traced(fine_tune_tiny(epochs=1))["raw_norm"].astype(float), axis=1)
    limit = float(np.median(raw))

    result = fine_tune_tiny([("clip_grad_norm", {"max_norm": limit})], epochs=1)
    trace = traced(result)
    before = np.linalg.norm(trace["raw_norm"].astype(float), axis=1)
    after = np.linalg.norm(trace["applied_norm"].astype(float), axis=1)

    np.testing.assert_allclose(after, np.minimum(before, limit), rtol=1e-4)
    assert value(result, "gradient.clip_rate") == pytest.approx((before > limit * 1.001).mean())
    assert value(result, "gradient.raw_norm") == pytest.approx(before.mean(), rel=1e-5)
    assert value(result, "gradient.applied_norm") == pytest.approx(after.mean(), rel=1e-5)


def test_the_first_raw_norm_is_the_probes_where_the_first_batch_is_everything(
    fine_tune_tiny: FineTune, tiny_model_without_dropout: Any
) -> None:
    """Without dropout, one batch of all examples: training's gradient is the probe's, measured by other code."""
    examples = tuple(Example(f"t:{i}", f"the film was {w}", i % 2) for i, w in enumerate(["bad", "good", "dull"] * 3))
    data = Dataset(examples, (), examples, ("no", "yes"), "f")

    trace = traced(fine_tune_tiny(model=tiny_model_without_dropout, data=data, batch_size=64, epochs=1))

    np.testing.assert_allclose(trace["raw_norm"][0], trace["probe_norm"][0], rtol=1e-3)


def test_the_first_update_under_adam_is_the_rate_over_the_root_mean_square_weight(fine_tune_tiny: FineTune) -> None:
    """At step 0 AdamW moves every weight with a gradient by η, so ‖Δθ‖/‖θ‖ ≈ η √n / ‖θ‖ in the head."""
    from stabbench.models.anatomy import anatomy

    result = fine_tune_tiny(epochs=1, learning_rate=1e-4, weight_decay=0.0, schedule="constant")
    head = anatomy(result.subject.model).head  # type: ignore[arg-type]
    n = sum(p.numel() for p in head.parameters())
    weight = math.sqrt(sum(float((p.detach() ** 2).sum()) for p in head.parameters()))

    assert traced(result)["update_ratio"][0][-1] == pytest.approx(1e-4 * math.sqrt(n) / weight, rel=0.05)


def test_the_rate_is_the_heads_and_follows_the_schedule(fine_tune_tiny: FineTune) -> None:
    trace = traced(fine_tune_tiny([("layerwise_decay", {"factor": 0.5})], epochs=2, learning_rate=6e-3))

    np.testing.assert_allclose(trace["learning_rate"], [6e-3, 5e-3, 4e-3, 3e-3, 2e-3, 1e-3])


def spike_count(norms: np.ndarray, window: int, factor: float) -> int:
    return int(spikes_of(norms, window, factor).sum())


@given(st.lists(st.floats(1.0, 1.4), max_size=60))
def test_a_calm_run_has_no_spike(norms: list[float]) -> None:
    assert spike_count(np.array(norms), 25, 3.0) == 0


@given(st.lists(st.floats(0.5, 1.0), min_size=5, max_size=60), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_not_finite_is_a_spike_and_hides_no_other(norms: list[float], broken: float) -> None:
    """20 NaN in a row must count 20, and a NaN in the window must not hide the spike after it."""
    assert spike_count(np.array(norms + [broken] * 20), 25, 3.0) == 20
    assert spike_count(np.array([*norms, broken, 100.0]), 25, 3.0) == 2


def test_a_spike_is_more_than_the_factor_times_the_median_of_the_window_before() -> None:
    calm = [1.0] * 10

    assert spike_count(np.array([*calm, 2.9]), 25, 3.0) == 0
    assert spike_count(np.array([*calm, 3.1]), 25, 3.0) == 1
    assert spike_count(np.array([10.0] * 30 + [1.0] * 5 + [12.0]), 5, 3.0) == 1, "the window forgets"
    assert spike_count(np.array([1.0, 1.0, 9.0]), 25, 3.0) == 0, "three steps are no basis"


def test_the_flags_of_the_trace_are_those_of_its_norms_and_losses(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny(epochs=10, learning_rate=3e-2, monitors={"trace": {"spike_factor": 1.5, "bound": 2.0}})
    trace = traced(result)
    raw = np.linalg.norm(trace["raw_norm"].astype(float), axis=1)

    np.testing.assert_array_equal(trace["norm_spike"], spikes_of(raw, 25, 1.5))
    assert value(result, "gradient.spikes") == trace["norm_spike"].sum() > 0
    assert value(result, "train.loss_spikes") == trace["loss_spike"].sum()
    assert value(result, "gradient.over_bound") == pytest.approx((raw > 2.0).mean())
    assert all(array.dtype == np.float32 for name, array in trace.items() if name.endswith(("norm", "ratio", "rate")))


def test_the_clip_factor_is_the_median_share_of_the_norm_that_is_left(fine_tune_tiny: FineTune) -> None:
    raw = np.linalg.norm(traced(fine_tune_tiny(epochs=1))["raw_norm"].astype(float), axis=1)
    result = fine_tune_tiny([("clip_grad_norm", {"max_norm": float(raw.min()) / 10})], epochs=1)
    before = np.linalg.norm(traced(result)["raw_norm"].astype(float), axis=1)

    assert value(result, "gradient.clip_factor") == pytest.approx(np.median(raw.min() / 10 / before), rel=1e-3)
    assert value(fine_tune_tiny(epochs=1), "gradient.clip_factor") == 1
    assert clip_factor(np.array([2.0, math.nan, 0.0]), np.array([1.0, 1.0, 0.0])) == 0.5
    assert clip_factor(np.array([math.nan]), np.array([1.0])) is None


def test_a_loss_spike_is_twice_the_median_and_back_where_training_began() -> None:
    start = [0.7] * 25

    def count(losses: list[float]) -> int:
        return int(loss_spikes_of(np.array(losses), 25).sum())

    assert count([*start, *[0.05] * 25, 0.3]) == 0, "one wrong example among right ones"
    assert count([*start, *[0.05] * 25, 2.5]) == 1
    assert count([*start, 1.3]) == 0
    assert count([*start, 1.5]) == 1
    assert count([*start, math.nan, math.inf]) == 2
    assert count([math.nan] * 3) == 3
