"""What stands between the measurements and the verdict: a contrast, and what was found about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stabbench.claims.claim import Group, Verdict, claim_id
from stabbench.claims.metrics import Metric
from stabbench.records import DENSE, Coordinate
from stabbench.suite.metrics import CHANGE_FROM

Interval = Callable[[float], tuple[float, float] | None]


@dataclass(frozen=True)
class Contrast:
    """Two groups compared on one metric at one coordinate, or on how it changes under compression.

    Attributes:
        metric: what is compared, and how.
        at: coordinates of the value; with ``change_from`` the groups' changes from that compression are compared.
        reference: (variant, compression) compared against.
        candidate: (variant, compression) judged.
        primary: declared in the suite.
        margin: largest |effect| that counts as none, on the scale of the effect.
        unresolved: why the coordinate could not be told, in words; empty where it could.
    """

    metric: Metric
    at: Mapping[str, Coordinate]
    reference: Group
    candidate: Group
    primary: bool
    margin: float | None
    unresolved: str = ""

    @property
    def id(self) -> str:
        """The claim's id."""
        return claim_id(self.metric.name, self.at, self.candidate, self.reference)

    @property
    def place(self) -> dict[str, Coordinate]:
        """The coordinates of the measurements themselves."""
        return {name: value for name, value in self.at.items() if name != CHANGE_FROM}

    @property
    def base(self) -> str | None:
        """The compression that changes are counted from; None where levels are compared."""
        return str(self.at[CHANGE_FROM]) if CHANGE_FROM in self.at else None

    @property
    def excludes_failed(self) -> bool:
        """Whether only pairs without a failed run count: robustness, noise and everything about compressed models."""
        return self.metric.excludes_failed or {self.reference[1], self.candidate[1]} != {DENSE}


@dataclass(frozen=True)
class Evidence:
    """What the measurements say about a contrast, before any level is chosen.

    Attributes:
        reference_value: plain mean (or rate, SD, 1) of the reference.
        candidate_value: the same of the candidate.
        effect: candidate − reference on the metric's scale, from the pairs used.
        p: two-sided p-value of no effect.
        interval: level → interval of `effect` at that level, or None.
        test: name of the test that gave `p`.
        n_used: units used.
        n_planned: units planned.
        by_seed: whether the unit is the seed.
        notes: what stands beside the test.
        blocked: a verdict that goes before any number, with its reason.
        undecidable: why no number can decide, such as one seed; empty where one can.
    """

    reference_value: float | None
    candidate_value: float | None
    effect: float | None
    p: float | None
    interval: Interval
    test: str
    n_used: int
    n_planned: int
    by_seed: bool = True
    notes: tuple[str, ...] = ()
    blocked: tuple[Verdict, str] | None = None
    undecidable: str = ""


def change(metric: Metric, after: float, before: float) -> float:
    """Return after − before, or after/before where the metric is compared on the log scale (NaN from zero).

    Two changes are then compared as two levels are, so that the effect is a difference in differences,
    (candidate after − candidate before) − (reference after − reference before), on the metric's scale.
    """
    if metric.scale == "log":
        return after / before if before else math.nan
    return after - before


def no_interval(level: float) -> None:
    """The interval of an effect that has none."""


def mean(values: Sequence[float]) -> float | None:
    """Return the plain mean; None without values; NaN or infinite where a value is (or where infinities oppose)."""
    if not values:
        return None
    if not all(math.isfinite(value) for value in values):
        return sum(values) / len(values)
    return math.fsum(values) / len(values)
