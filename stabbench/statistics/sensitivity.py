"""How an arm bears a training option that grows, such as the learning rate: where runs begin to fail, and what is lost.

A point is one value of the option with the runs of all seeds there. Nothing is assumed of the shape but where said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stabbench.statistics.proportions import clopper_pearson

TOLERATED = 0.10
"""Largest share of failed runs at which a value still counts as stable."""
LEVEL = 0.95


@dataclass(frozen=True)
class Point:
    """One value of the option.

    Attributes:
        value: above 0.
        scores: final score of every finished run, such as its accuracy; failed runs included.
        failed: which of these runs failed, in the same order.
    """

    value: float
    scores: tuple[float, ...]
    failed: tuple[bool, ...]

    @property
    def count(self) -> tuple[int, int]:
        """(failed runs, runs)."""
        return sum(self.failed), len(self.failed)

    @property
    def rate(self) -> float | None:
        """Share of failed runs; None without runs."""
        k, n = self.count
        return k / n if n else None

    @property
    def mean(self) -> float | None:
        """Mean score over all runs, failed ones included; None without runs."""
        return math.fsum(self.scores) / len(self.scores) if self.scores else None


@dataclass(frozen=True)
class Reading:
    """One figure of an arm: the value, where it lies, and what is to be known beside it; `value` None says why there.

    Attributes:
        value: the figure.
        at: value of the option that it belongs to.
        between: neighbouring grid values that enclose it, or None.
        low, high: interval of the true share of failed runs at `at`, where the figure is a margin.
        reason: why there is no value, or how far it can be trusted.
    """

    value: float | None
    at: float | None = None
    between: tuple[float, float] | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def stability_margin(points: Sequence[Point], tolerated: float = TOLERATED) -> Reading:
    """Return the largest value at which at most `tolerated` of the runs failed, with Clopper-Pearson limits.

    The limits say what the true rate there may be: with 0 of 5 failed it may still be 52 %. Values below the margin at
    which more runs failed are named, since then the arm is not stable all the way up.
    """
    known = _known(points)
    stable = [point for point in known if _rate(point) <= tolerated]
    if not stable:
        return Reading(None, reason=_nowhere(known, f"more than {tolerated:.0%} of the runs failed at every value"))
    best = stable[-1]
    k, n = best.count
    interval = clopper_pearson(k, n, LEVEL)
    notes = [f"{k} of {n} runs failed there; the true share is between {interval.low:.0%} and {interval.high:.0%}"]
    if best is known[-1]:
        notes.append("the largest value tried: the margin may be larger")
    if broken := [point.value for point in known if stable[0].value < point.value < best.value and point not in stable]:
        notes.append(f"below it more runs failed at {', '.join(f'{value:g}' for value in broken)}")
    return Reading(best.value, best.value, None, interval.low, interval.high, "; ".join(notes))


def half_failure(points: Sequence[Point]) -> Reading:
    """Return the value at which half of the runs fail, going up from where fewest do.

    The rates from there on are made non-decreasing by pooling neighbours (isotonic regression, weighted by runs: Ayer
    et al. 1955, doi:10.1214/aoms/1177728423), and the crossing of 50 % is interpolated on the logarithm of the value.
    There is none where 50 % is not enclosed by two values of the grid.
    """
    known = _known(points)
    if not known:
        return Reading(None, reason="no run has finished")
    rates = [_rate(point) for point in known]
    rising = known[rates.index(min(rates)) :]
    fitted = non_decreasing([_rate(point) for point in rising], [float(point.count[1]) for point in rising])
    above = next((index for index, rate in enumerate(fitted) if rate >= 0.5), None)
    if above is None:
        k, n = known[-1].count
        return Reading(None, reason=f"not enclosed: at the largest value, {known[-1].value:g}, {k} of {n} runs failed")
    if above == 0:
        return Reading(None, reason="not enclosed: at every value at least half of the runs failed")
    (low, high), (left, right) = fitted[above - 1 : above + 1], (rising[above - 1].value, rising[above].value)
    share = (0.5 - low) / (high - low)
    crossing = math.exp(math.log(left) + share * (math.log(right) - math.log(left)))
    return Reading(crossing, crossing, (left, right), reason=f"interpolated between {left:g} and {right:g}")


def sensitivity(points: Sequence[Point], chance: float) -> Reading:
    """Return S = A* − mean over values of max(A(value), A₀): the score that a wrong value costs, on average.

    A is the mean score over seeds, A* the arm's best on the grid, A₀ the score without learning. 0: any value will do.
    After Wortsman et al. 2023, arXiv:2309.14322, who take the loss: mean of min(L, L₀) − L*. It depends on the grid, so
    it compares arms on the same one only.
    """
    known = _known(points)
    if not known:
        return Reading(None, reason="no run has finished")
    means = [_mean(point) for point in known]
    lost = max(means) - math.fsum(max(mean, chance) for mean in means) / len(means)
    missing = len(points) - len(known)
    return Reading(lost, reason=f"{missing} values have no finished run" if missing else "")


def best_score(points: Sequence[Point]) -> Reading:
    """Return the best mean score over the grid, and where; chosen after the fact, so optimistic, for each arm alike."""
    known = _known(points)
    if not known:
        return Reading(None, reason="no run has finished")
    best = max(known, key=_mean)
    return Reading(_mean(best), best.value, reason=f"best of {len(known)} values, chosen after the fact: optimistic")


def non_decreasing(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence nearest to `values` in weighted squares, by pooling adjacent violators."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    return [value for value, _, length in pools for _ in range(length)]


def _known(points: Sequence[Point]) -> list[Point]:
    return sorted((point for point in points if point.failed), key=lambda point: point.value)


def _nowhere(known: Sequence[Point], reason: str) -> str:
    return reason if known else "no run has finished"


def _rate(point: Point) -> float:
    assert point.rate is not None
    return point.rate


def _mean(point: Point) -> float:
    assert point.mean is not None
    return point.mean
