"""The mean of the last weights against its sum, and the rate held meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.swa import Swa
from stabbench.stabilizers.warmup import Warmup
from stabbench.suite.schema import TrainOptions
from stabbench.training.schedules import base_schedule

PATH = np.random.default_rng(0).normal(size=(20, 3))


def averaged(points: np.ndarray, steps: int = 20, **options: Any) -> np.ndarray:
    model = nn.Linear(3, 1, bias=False)
    stabilizer = Swa(**options)
    parts: Any = None  # the mean does not ask for the anatomy
    stabilizer.prepare_model(model, parts, TrialSeeds(0, 0), steps)
    with torch.no_grad():
        for step, point in enumerate(points):
            model.weight.copy_(torch.tensor(point).view(1, 3))
            stabilizer.on_step(model, step)
    stabilizer.finish_model(model)
    return model.weight.detach().numpy()[0]


@pytest.mark.parametrize(
    ("start", "every", "points"),
    [(0.7, 1, range(14, 20)), (0.0, 1, range(20)), (0.5, 4, [10, 14, 18]), (0.99, 1, [19]), (0.62, 3, [12, 15, 18])],
)
def test_it_is_the_plain_mean_of_the_chosen_points(start: float, every: int, points: Any) -> None:
    found = averaged(PATH, start=start, every=every)

    np.testing.assert_allclose(found, PATH[list(points)].mean(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("start", "seen"), [(1.0, 20), (0.7, 10)])
def test_without_a_point_the_last_weights_stay_to_the_bit(start: float, seen: int) -> None:
    np.testing.assert_array_equal(averaged(PATH[:seen], start=start), PATH[seen - 1].astype(np.float32))


def test_the_mean_is_copied_and_not_an_alias_of_moving_weights() -> None:
    """Trap: a reference to live weights would make the mean the last point."""
    assert not np.allclose(averaged(PATH, start=0.5), PATH[-1])


def test_the_rate_falls_until_the_first_point_and_stays_from_there() -> None:
    steps = 10
    schedule = Swa(start=0.7).wrap_schedule(base_schedule(TrainOptions(), steps), steps)

    assert [schedule(step) for step in range(steps)] == pytest.approx([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.3, 0.3])


@pytest.mark.parametrize("options", [{"start": 1.0}, {"start": 0.3, "constant_rate": False}])
def test_the_schedule_is_left_alone_where_nothing_is_held(options: dict[str, Any]) -> None:
    base = base_schedule(TrainOptions(), 10)

    assert Swa(**options).wrap_schedule(base, 10) is base


def test_after_warmup_in_the_list_it_holds_the_warmed_schedule_at_its_first_point() -> None:
    warmed = Warmup(fraction=0.4).wrap_schedule(base_schedule(TrainOptions(), 10), 10)

    held = Swa(start=0.7).wrap_schedule(warmed, 10)

    assert [held(step) for step in (6, 7, 8, 9)] == pytest.approx([warmed(6), warmed(7), warmed(7), warmed(7)])
