"""What a statistical procedure answers: an estimate with its interval, or a significance; each with a stated reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A number with its interval and, where the method has one, the p-value of "it is zero".

    Attributes:
        value: the estimate; None where there is none.
        low: lower end of the interval; None where the method gives no interval for these data.
        high: upper end.
        level: coverage of the interval, in (0, 1).
        n: units the estimate rests on.
        method: name of the procedure.
        p: two-sided p-value in [0, 1]; None where the method gives none.
        reason: why something above is None, in words for the reader; empty where all is there.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    n: int
    method: str
    p: float | None = None
    reason: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, or None."""
        return None if self.low is None or self.high is None else (self.low, self.high)


@dataclass(frozen=True)
class Significance:
    """The answer of a test that has no interval of its own.

    Attributes:
        p: two-sided p-value in [0, 1]; None where the test does not apply.
        n: units tested.
        method: name of the procedure.
        floor: the smallest p-value the test can give with this many units; None where it has no floor.
        reason: why `p` is None; empty where it is there.
    """

    p: float | None
    n: int
    method: str
    floor: float | None = None
    reason: str = ""


def excludes_zero(interval: tuple[float, float] | None) -> bool:
    """Say whether an interval exists and holds neither zero nor both signs."""
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def within(interval: tuple[float, float] | None, margin: float | None) -> bool:
    """Say whether an interval exists and lies inside ±`margin`, ends included."""
    return interval is not None and margin is not None and -margin <= interval[0] and interval[1] <= margin
