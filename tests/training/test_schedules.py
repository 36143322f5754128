"""Learning-rate schedules against their formulas and against torch's, and how many steps a training has."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, get_args

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from stabbench.suite.train_options import Plateau, ScheduleName, TrainOptions
from stabbench.training.schedules import PlateauSchedule, base_schedule, steps_of


def factors(schedule: str, steps: int) -> list[float]:
    made = base_schedule(TrainOptions(schedule=schedule), steps)  # type: ignore[arg-type]
    return [made(step) for step in range(steps)]


def test_the_linear_schedule_falls_from_one_to_one_over_t() -> None:
    assert factors("linear", 4) == [1.0, 0.75, 0.5, 0.25]
    assert set(factors("constant", 4)) == {1.0}


def test_the_cosine_schedule_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9)
    expected = []
    for _ in range(9):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        annealing.step()

    assert factors("cosine", 9) == pytest.approx(expected)


@pytest.mark.parametrize("schedule", get_args(ScheduleName))
def test_every_schedule_starts_at_one_and_never_rises_or_reaches_zero(schedule: str) -> None:
    found = factors(schedule, 50)

    assert found[0] == 1.0
    assert all(0 < after <= before for before, after in pairwise(found))


LOSSES = [1.0, 0.9, 0.9, 0.95, 0.8, 0.79999, 0.81, math.nan, 0.7, 0.75, 0.75, 0.75, 0.1]


@pytest.mark.parametrize(
    "options", [{}, {"patience": 2}, {"patience": 3, "factor": 0.1}, {"threshold": 0.0}, {"threshold": 0.2}]
)
def test_the_plateau_schedule_is_that_of_torch(options: dict[str, Any]) -> None:
    """Torch lowers after *more than* `patience` evaluations, this one after `patience`."""
    plateau = Plateau(**options)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    other = ReduceLROnPlateau(
        optimizer, factor=plateau.factor, patience=plateau.patience - 1, threshold=plateau.threshold, eps=0.0
    )
    schedule = PlateauSchedule(plateau)

    for step, loss in enumerate(LOSSES):
        schedule.evaluated(loss)
        other.step(loss)
        assert schedule(step) == pytest.approx(optimizer.param_groups[0]["lr"]), step


def test_steps_are_those_of_whole_epochs_or_as_many_as_asked_for() -> None:
    assert steps_of(TrainOptions(epochs=3, batch_size=8), 22) == 9
    assert steps_of(TrainOptions(epochs=3, batch_size=8, max_steps=5), 22) == 5
