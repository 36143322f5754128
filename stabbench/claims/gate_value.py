"""Evidence about a group's own value, for the rules `at_most` and `at_least`: no second group is needed."""

from __future__ import annotations

from collections.abc import Callable

from stabbench.claims.build import evidence_of
from stabbench.claims.claim import Verdict
from stabbench.claims.evidence import Contrast, Evidence, no_interval
from stabbench.claims.level import FEWEST_PAIRS
from stabbench.claims.table import Table
from stabbench.statistics.paired import paired_log_ratio, paired_t
from stabbench.statistics.proportions import clopper_pearson
from stabbench.statistics.result import Estimate

CROSSED = "crossed seeds share their draws, so their runs are not independent; give `seeds: N` for a verdict"


def value_evidence(contrast: Contrast, table: Table) -> Evidence:
    """Return the evidence about the candidate's value over its seeds; the effect is the value, on the metric's scale.

    Levels: mean and one-sample t interval (on a log scale: of the logarithms, so the value is a geometric mean); rates
    of failed runs: the exact Clopper-Pearson interval; latency: the ratio to the reference, as its claim has it. Runs
    that failed are left out where the metric's claims leave them out.
    """
    if contrast.unresolved or contrast.metric.kind == "latency":
        return evidence_of(contrast, table)
    variant = contrast.candidate[0]
    values = table.values(contrast.metric.name, contrast.at, contrast.candidate)
    failed = table.failed(variant) if contrast.excludes_failed else set()
    used = [values[seed] for seed in table.seeds if seed in values and seed not in failed]
    estimate = _estimator(contrast, used)
    found = estimate(0.90)
    planned, left = len(table.seeds), len(table.seeds) - len(failed)
    blocked: tuple[Verdict, str] | None = None
    if len(used) < left:
        blocked = ("incomplete", f"{left - len(used)} of {planned} seeds were not measured")
    if failed and left < FEWEST_PAIRS:
        reason = f"collapsed: {len(failed)} of {planned} runs failed; {left} left, {FEWEST_PAIRS} needed"
        blocked = ("not comparable", reason)
    return Evidence(
        reference_value=None,
        candidate_value=found.value,
        effect=found.value,
        p=None,
        interval=no_interval if table.crossed else lambda level: estimate(level).interval,
        test=found.method,
        n_used=len(used),
        n_planned=planned,
        blocked=blocked,
        undecidable=CROSSED if table.crossed else _undecidable(found, used),
    )


def _undecidable(found: Estimate, values: list[float]) -> str:
    if found.low is not None:
        return ""
    if len(values) == 1:
        return "one seed has no interval"
    if found.value is not None and values:
        return f"all {len(values)} values are equal ({values[0]:.4g}), which says nothing about other seeds"
    return found.reason


def _estimator(contrast: Contrast, values: list[float]) -> Callable[[float], Estimate]:
    if contrast.metric.kind == "failure":
        return lambda level: clopper_pearson(sum(value != 0 for value in values), len(values), level)
    if contrast.metric.scale == "log":
        return lambda level: paired_log_ratio(values, [1.0] * len(values), level)
    return lambda level: paired_t(values, level)
