"""Evidence about a level: seed differences by the paired t, sign-flip permutation beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stabbench.claims import over_texts
from stabbench.claims.claim import Group, Verdict
from stabbench.claims.evidence import Contrast, Evidence, change, mean, no_interval
from stabbench.claims.table import Table
from stabbench.statistics.paired import log_ratios as logs_of
from stabbench.statistics.paired import paired_log_ratio, paired_t, sign_flip
from stabbench.statistics.result import Estimate

FEWEST_PAIRS = 3
"""Fewest pairs without a failed run for a claim about robustness or compression (DESIGN §7)."""
FEWEST_FOR_SIGN_FLIP = 6


def evidence(contrast: Contrast, table: Table) -> Evidence:
    """Return the evidence of the seeds that both groups measured; failed pairs are left out where the rule says so."""
    reference = _values(contrast, table, contrast.reference)
    candidate = _values(contrast, table, contrast.candidate)
    failed = _failed_pairs(contrast, table)
    pairs = [seed for seed in table.seeds if seed in reference and seed in candidate and seed not in failed]
    estimate = _estimator(contrast, [candidate[s] for s in pairs], [reference[s] for s in pairs])
    found = estimate(0.95)
    blocked = _blocked(contrast, table, pairs, failed)
    undecidable = _undecidable(table, found, pairs)
    usable = not table.crossed and not (blocked and blocked[0] == "not comparable")
    return Evidence(
        reference_value=mean(list(reference.values())),
        candidate_value=mean(list(candidate.values())),
        effect=found.value,
        p=found.p if usable else None,
        interval=(lambda level: estimate(level).interval) if usable else no_interval,
        test=found.method,
        n_used=len(pairs),
        n_planned=len(table.seeds),
        notes=(
            *_notes(contrast, [candidate[s] for s in pairs], [reference[s] for s in pairs], sorted(failed)),
            *(over_texts.notes(contrast, table, pairs) if usable else ()),
            *(_failed_runs(contrast, table, pairs) if usable else ()),
        ),
        blocked=blocked,
        undecidable=undecidable,
    )


def _values(contrast: Contrast, table: Table, group: Group) -> dict[str, float]:
    """Return seed → the group's value, or how far it is from that of the same model at the base compression."""
    values = table.values(contrast.metric.name, contrast.place, group)
    if contrast.base is None:
        return values
    before = table.values(contrast.metric.name, contrast.place, (group[0], contrast.base))
    return {s: change(contrast.metric, value, before[s]) for s, value in values.items() if s in before}


def _estimator(contrast: Contrast, candidate: list[float], reference: list[float]) -> Callable[[float], Estimate]:
    if contrast.metric.scale == "log":
        return lambda level: paired_log_ratio(candidate, reference, level)
    differences = [c - r for c, r in zip(candidate, reference, strict=True)]
    return lambda level: paired_t(differences, level)


def _failed_pairs(contrast: Contrast, table: Table) -> set[str]:
    if not contrast.excludes_failed:
        return set()
    return table.failed(contrast.reference[0]) | table.failed(contrast.candidate[0])


def _blocked(contrast: Contrast, table: Table, pairs: Sequence[str], failed: set[str]) -> tuple[Verdict, str] | None:
    planned = len(table.seeds)
    left = planned - len(failed)
    if contrast.excludes_failed and failed and left < FEWEST_PAIRS:
        reason = f"collapsed: a run failed in {len(failed)} of {planned} seed pairs; {left} left, {FEWEST_PAIRS} needed"
        return "not comparable", reason
    if len(pairs) < left:
        return "incomplete", f"{left - len(pairs)} of {planned} seed pairs were not measured"
    if contrast.excludes_failed and 1 < planned < FEWEST_PAIRS:
        return "not comparable", f"too few pairs: {planned} seeds, {FEWEST_PAIRS} needed"
    return None


def _undecidable(table: Table, found: Estimate, pairs: Sequence[str]) -> str:
    if table.crossed:
        return "crossed seeds share their draws, so their pairs are not independent; give `seeds: N` for a verdict"
    if len(pairs) == 1:
        return "one seed: a difference between single runs says nothing about other seeds; give at least 2, better 6"
    return found.reason if found.low is None else ""


def _notes(contrast: Contrast, candidate: list[float], reference: list[float], failed: list[str]) -> tuple[str, ...]:
    log = contrast.metric.scale == "log"
    differences = logs_of(candidate, reference) if log else [c - r for c, r in zip(candidate, reference, strict=True)]
    notes = []
    if differences and len(differences) >= FEWEST_FOR_SIGN_FLIP:
        flip = sign_flip(differences)
        if flip.p is not None:
            notes.append(f"{flip.method} p = {flip.p:.3g} (floor {flip.floor:.2g})")
    if failed:
        notes.append(f"pairs left out because a run failed: seed {', '.join(failed)}")
    return tuple(notes)


def _failed_runs(contrast: Contrast, table: Table, pairs: Sequence[str]) -> tuple[str, ...]:
    """Say that failed runs are among those compared; where they are left out there is nothing to say."""
    failed = 0 if contrast.excludes_failed else table.failed_among((contrast.reference, contrast.candidate), pairs)
    return (f"{failed} of {2 * len(pairs)} runs failed: a mean over failed and finished runs",) if failed else ()
