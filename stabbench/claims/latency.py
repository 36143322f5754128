"""Evidence about latency: one log ratio per fresh process, refused where the machine was not quiet.

The effect is the mean of ln(candidate's p50 / reference's p50) over processes, and the interval and margin are on that
log scale; a report prints exp(effect) − 1 in percent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stabbench.claims.claim import Group, Verdict
from stabbench.claims.evidence import Contrast, Evidence, change, mean, no_interval
from stabbench.claims.table import Table
from stabbench.statistics.paired import paired_log_ratio, sign_flip

CONTAMINATED = 0.10
"""Largest share of rounds with run-queue wait at which a latency still counts."""
REPLICATE_P = 0.01
NEGLIGIBLE = math.log(1.01)
"""An A/A difference of less than 1 % decides nothing, however sure it is."""


def evidence(contrast: Contrast, table: Table) -> Evidence:
    """Return the evidence of the fresh processes in which both groups were timed; the unit is the process."""
    reference = _seconds(contrast, table, contrast.reference)
    candidate = _seconds(contrast, table, contrast.candidate)
    planned = len({*reference, *candidate, *table.processes("latency.process_p50", contrast.place, None)})
    pairs = sorted({*reference} & {*candidate})
    first, second = [reference[process] for process in pairs], [candidate[process] for process in pairs]
    found = paired_log_ratio(second, first)
    disturbed = _disturbed(contrast, table)
    blocked: tuple[Verdict, str] | None = ("not comparable", disturbed) if disturbed else None
    if blocked is None and (len(pairs) < planned or not planned):
        blocked = ("incomplete", f"{planned - len(pairs)} of {planned} processes did not time both")
    # Against itself the reference is 1; its change from another compression is not.
    own = None if contrast.base is None else paired_log_ratio(first, [1.0] * len(first)).value
    start = 0.0 if own is None else own
    return Evidence(
        reference_value=math.exp(start) if pairs else None,
        candidate_value=None if found.value is None else math.exp(start + found.value),
        effect=found.value,
        p=None if disturbed else found.p,
        interval=no_interval if disturbed else lambda level: paired_log_ratio(second, first, level).interval,
        test=found.method,
        n_used=len(pairs),
        n_planned=planned,
        by_seed=False,
        notes=(*_unwatched(contrast, table), *_notes(first, second, found.value)),
        blocked=blocked,
        undecidable=found.reason if found.low is None else "",
    )


def _seconds(contrast: Contrast, table: Table, group: Group) -> dict[int, float]:
    """Return process → the group's median seconds, or their ratio to those of its base compression."""
    metric, at = "latency.process_p50", contrast.place
    found = {process: _typical(values) for process, values in table.processes(metric, at, group).items()}
    if contrast.base is None:
        return found
    before = table.processes(metric, at, (group[0], contrast.base))
    return {p: change(contrast.metric, x, _typical(before[p])) for p, x in found.items() if p in before}


def _typical(seconds: Sequence[float]) -> float:
    """Geometric mean over the seeds timed in one process (usually one)."""
    if not all(value > 0 for value in seconds):
        return math.nan
    return math.exp(math.fsum(math.log(value) for value in seconds) / len(seconds))


def _disturbed(contrast: Contrast, table: Table) -> str:
    """Say why the timing cannot be trusted; empty where it can."""
    groups = [contrast.reference, contrast.candidate]
    if contrast.base is not None:
        groups += [(variant, contrast.base) for variant, _ in groups]
    for group in groups:
        share = mean(list(table.values("latency.contaminated", contrast.place, group).values()))
        if share is not None and not share <= CONTAMINATED:
            return (
                f"contaminated: {'@'.join(group)} waited for a processor in {share:.0%} of its rounds "
                f"(allowed {CONTAMINATED:.0%}); measure again on a quiet machine"
            )
    return _replicate_differs(contrast, table)


def _replicate_differs(contrast: Contrast, table: Table) -> str:
    """Say that the A/A replicate of the reference differs from the reference: then so may anything.

    It differs where its ratio is beyond the margin, or where chance alone would be that far from 1 in one run of a
    hundred: then something favoured one of two equal models, small as it may be.
    """
    replicates = table.processes("latency.aa_ratio", contrast.place, None)
    ratios = [value for values in replicates.values() for value in values]
    found = paired_log_ratio(ratios, [1.0] * len(ratios))
    if found.value is None or contrast.margin is None:
        return ""
    said = f"contaminated: the A/A replicate of the reference runs at {math.exp(found.value):.3f} times its latency"
    if abs(found.value) > contrast.margin:
        return f"{said} (allowed ±{math.expm1(contrast.margin):.0%}); measure again on a quiet machine"
    if found.p is not None and found.p < REPLICATE_P and abs(found.value) > NEGLIGIBLE:
        return f"{said} in every process alike (p = {found.p:.2g}); measure again on a quiet machine"
    return ""


def _unwatched(contrast: Contrast, table: Table) -> tuple[str, ...]:
    """Say what no one watched: waits that the system does not tell, a panel without a replicate."""
    found = []
    if not any(
        table.values("latency.contaminated", contrast.place, g) for g in (contrast.reference, contrast.candidate)
    ):
        found.append("degraded: this system does not tell whether rounds waited for a processor")
    if not table.processes("latency.aa_ratio", contrast.place, None):
        found.append("degraded: no A/A replicate was timed")
    return tuple(found)


def _notes(first: list[float], second: list[float], effect: float | None) -> tuple[str, ...]:
    if effect is None or len(first) < 6:
        return ()
    flip = sign_flip([math.log(c / r) for c, r in zip(second, first, strict=True)])
    return (f"{flip.method} p = {flip.p:.3g} (floor {flip.floor:.2g})",)
