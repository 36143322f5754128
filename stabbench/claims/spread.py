"""Evidence about spread over seeds: Brown-Forsythe, and the interval of the log ratio of standard deviations."""

from __future__ import annotations

import math

import numpy as np

from stabbench.claims.evidence import Contrast, Evidence, no_interval
from stabbench.claims.table import Table
from stabbench.statistics.spread import FEWEST, brown_forsythe, log_sd_ratio, seeds_to_settle, spread_permutation

MEASURED_ON = "accuracy"


def evidence(contrast: Contrast, table: Table) -> Evidence:
    """Return the evidence on the spread of accuracy; failed runs count, since they are what instability looks like."""
    reference = table.values(MEASURED_ON, {}, contrast.reference)
    candidate = table.values(MEASURED_ON, {}, contrast.candidate)
    pairs = [seed for seed in table.seeds if seed in reference and seed in candidate]
    first, second = [reference[seed] for seed in pairs], [candidate[seed] for seed in pairs]
    ratio, test = log_sd_ratio(first, second), brown_forsythe(first, second)
    n, planned = len(pairs), len(table.seeds)
    usable = not table.crossed and n >= FEWEST
    return Evidence(
        reference_value=standard_deviation(list(reference.values())),
        candidate_value=standard_deviation(list(candidate.values())),
        effect=ratio.value,
        p=test.p if usable else None,
        interval=(lambda level: log_sd_ratio(first, second, level).interval) if usable else no_interval,
        test=test.method,
        n_used=n,
        n_planned=planned,
        notes=(
            *(_notes(first, second) if usable else ()),
            *_failed_runs(table.failed_among((contrast.reference, contrast.candidate), pairs), n),
        ),
        blocked=("incomplete", f"{planned - n} of {planned} seed pairs were not measured") if n < planned else None,
        undecidable=_undecidable(table, n, ratio.value, ratio.reason),
    )


def standard_deviation(values: list[float]) -> float | None:
    """Return the standard deviation (ddof 1); None below two values; NaN where one is not finite."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1)) if all(math.isfinite(value) for value in values) else math.nan


def _undecidable(table: Table, n: int, log_ratio: float | None, reason: str) -> str:
    if table.crossed:
        return "crossed seeds share their draws, so their runs are not independent; give `seeds: N` for a verdict"
    if n >= FEWEST:
        return reason
    needed = seeds_to_settle(log_ratio)
    settle = f"; about {needed} would settle a ratio like the one seen" if needed else f"; at least {FEWEST} are needed"
    return f"{n} seed{'s' if n != 1 else ''} cannot decide about spread{settle}"


def _notes(first: list[float], second: list[float]) -> tuple[str, ...]:
    beside = spread_permutation(first, second)
    return () if beside.p is None else (f"{beside.method} p = {beside.p:.3g}",)


def _failed_runs(failed: int, n: int) -> tuple[str, ...]:
    """Say that the interval is not sure to hold its level: with failed runs it can cover 80 % (reports/statistics)."""
    return (f"{failed} of {2 * n} runs failed, so the interval is of a mixture and may be too short",) if failed else ()
