"""Warmup against its formula."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stabbench.stabilizers.warmup import Warmup
from stabbench.suite.schema import TrainOptions
from stabbench.training.schedules import base_schedule


def factors(fraction: float, steps: int, schedule: str = "linear") -> list[float]:
    options = TrainOptions(schedule=schedule)  # type: ignore[arg-type]
    warmed = Warmup(fraction=fraction).wrap_schedule(base_schedule(options, steps), steps)
    return [warmed(step) for step in range(steps)]


def test_it_rises_by_equal_steps_then_falls_linearly_to_the_end() -> None:
    """T = 10, T_w = 4: (t+1)/4, then (T−t)/(T−T_w)."""
    rise, fall = [0.25, 0.5, 0.75, 1.0], [6 / 6, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]

    assert factors(0.4, 10) == pytest.approx(rise + fall)


def test_under_a_constant_schedule_it_stays_at_the_peak() -> None:
    assert factors(0.4, 10, "constant") == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7)


@pytest.mark.parametrize(("steps", "rise"), [(70, 7), (75, 8), (30, 3), (110, 11), (3, 1)])
def test_the_rise_is_the_fraction_rounded_up_and_not_one_step_more(steps: int, rise: int) -> None:
    """0.1 · 70 is 7.000000000000001 in floating point, and must not give 8."""
    found = factors(0.1, steps)

    assert found.index(1.0) == rise - 1


@given(fraction=st.floats(0, 0.99), steps=st.integers(1, 200))
def test_every_factor_is_above_zero_and_at_most_one(fraction: float, steps: int) -> None:
    assert all(0 < factor <= 1 + 1e-12 for factor in factors(fraction, steps))
