"""Sections on training and gradients: seeds, failed runs, gaps, traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stabbench.report.cost import checkpoint_notes, training_cost
from stabbench.report.data import Cell, Section, Table
from stabbench.report.figures.gradients import gradient_maps, probe_curves
from stabbench.report.figures.seeds import paired_differences, seed_strip
from stabbench.report.numbers import UNKNOWN, fixed, mean_and_sd, significant
from stabbench.report.source import Source


def group_cell(values: Mapping[str, float]) -> Cell:
    """Return mean ± SD over seeds as a table cell."""
    numbers = list(values.values())
    return Cell(mean_and_sd(numbers), float(np.mean(numbers)) if numbers else None)


def training(source: Source, verdict: Mapping[str, Any]) -> Section | None:
    """Return the section on accuracy over seeds, failed runs, and the train/test gap."""
    values = {variant: source.by_seed("accuracy", variant) for variant in source.variants}
    if not any(values.values()):
        return None
    failed = {variant: source.failed(variant) for variant in source.variants}
    drawings = [seed_strip(values, failed, source.majority())]
    if rows := _differences(source, verdict):
        drawings.append(paired_differences(rows))
    counts = "; ".join(f"{v}: {len(failed[v])} failed of {len(values[v])} runs" for v in source.variants)
    return Section(
        "training",
        "Training over seeds",
        f"{counts}. A failed run ended at the majority class or in NaN; it is a result, counted and never dropped.",
        drawings,
        [_before_after(source), _stability(source), *training_cost(source)],
        notes=checkpoint_notes(source),
    )


def _differences(source: Source, verdict: Mapping[str, Any]) -> list[Any]:
    rows = []
    for claim in verdict["claims"]:
        (reference, dense), (candidate, other) = claim["reference"], claim["candidate"]
        if claim["metric"] != "accuracy" or reference == candidate or dense != other or dense != "dense":
            continue
        left, right = source.by_seed("accuracy", reference), source.by_seed("accuracy", candidate)
        differences = {seed: right[seed] - left[seed] for seed in right if seed in left}
        rows.append((f"{candidate}\nvs {reference}", differences, claim["effect"], claim["interval"], claim["margin"]))
    return rows


def _before_after(source: Source) -> Table:
    metrics = (
        ("train.accuracy_before", "accuracy before"),
        ("accuracy", "accuracy after"),
        ("train.accuracy_train", "on training examples"),
        ("train.gap", "gap train − test"),
        ("macro_f1", "macro-F1"),
        ("ece", "calibration error"),
        ("majority_share", "commonest answer"),
    )
    rows = [
        [Cell(variant, None, False), *(group_cell(source.by_seed(metric, variant)) for metric, _ in metrics)]
        for variant in source.variants
    ]
    note = (
        "Mean ± SD over all seeds, failed runs included. Calibration error: 15 bins. Commonest "
        "answer: share of the class predicted most often, 1 for a collapsed model."
    )
    return Table("Before and after fine-tuning", ["variant", *(name for _, name in metrics)], rows, note)


def _stability(source: Source) -> Table:
    rows = []
    for variant in source.variants:
        excess = source.one("seeds.excess_variance", variant)
        rows.append(
            [
                Cell(variant, None, False),
                Cell(
                    f"{len(source.failed(variant))}/{len(source.by_seed('train.failed', variant))}",
                    float(len(source.failed(variant))),
                ),
                Cell(fixed(source.one("seeds.sd", variant), 3), source.one("seeds.sd", variant)),
                Cell(fixed(excess, 2), excess),
                Cell(fixed(source.one("seeds.disagreement", variant), 3), source.one("seeds.disagreement", variant)),
                group_cell(source.by_seed("train.seconds", variant)),
                group_cell(source.by_seed("gradient.clip_rate", variant)),
                group_cell(source.by_seed("gradient.spikes", variant)),
            ]
        )
    head = [
        "variant",
        "failed runs",
        "SD of accuracy",
        "excess variance",
        "disagreement",
        "seconds",
        "steps changed",
        "spikes",
    ]
    note = (
        "Excess variance: Cochran's Q/(n−1) over seeds; 1 is what the finite test set alone "
        "produces. Disagreement: share of test "
        "examples that two seeds answer differently. Steps changed: share of steps whose "
        "gradients a stabilizer changed."
    )
    return Table("Stability over seeds", head, rows, note)


def gradients(source: Source) -> Section | None:
    """Return the section on gradient norms: heat maps for every arm, raw and applied, and the probe."""
    traces = {variant: list(source.traces(variant)) for variant in source.variants}
    traces = {variant: found for variant, found in traces.items() if found and "raw_norm" in found[0][1]}
    if not traces:
        return None
    blocks = [str(name) for name in next(iter(traces.values()))[0][1]["blocks"]]
    medians = [
        {v: _median([t[name] for _, t in found]) for v, found in traces.items()}
        for name in ("raw_norm", "applied_norm")
    ]
    seeds = f"{max(len(found) for found in traces.values())} seeds"
    steps = next(iter(traces.values()))[0][1]["probe_step"]
    probes = {v: [np.sqrt((t["probe_norm"] ** 2).sum(axis=1)) for _, t in found] for v, found in traces.items()}
    same = {
        v: np.stack([x for x in norms if len(x) == len(steps)])
        for v, norms in probes.items()
        if any(len(x) == len(steps) for x in norms)
    }
    drawings = [gradient_maps(medians[0], medians[1], blocks, seeds), probe_curves([int(s) for s in steps], same)]
    metrics = (
        ("gradient.raw_norm", "raw norm"),
        ("gradient.applied_norm", "applied norm"),
        ("gradient.clip_rate", "steps changed"),
    )
    rows = [
        [Cell(v, None, False), *(group_cell(source.by_seed(m, v)) for m, _ in metrics), _probe_cell(source, v)]
        for v in source.variants
    ]
    table = Table(
        "Global gradient norms",
        ["variant", *(name for _, name in metrics), "probe norm at the end"],
        rows,
        "Means over steps, then mean ± SD over seeds.",
    )
    lead = (
        "Raw norms are measured before any stabilizer acts, applied norms are what the "
        "optimizer sees. Raw norms of different objectives "
        "do not compare between arms; the gradient probe does."
    )
    return Section("gradients", "Gradients", lead, drawings, [table])


def _probe_cell(source: Source, variant: str) -> Cell:
    values = [
        r.measurement.value
        for r in source.find("gradient.probe_norm", variant)
        if not r.measurement.at and r.probe == "gradient"
    ]
    known = [value for value in values if value is not None]
    return Cell(mean_and_sd(known), float(np.mean(known)) if known else None)


def _median(traces: list[np.ndarray]) -> np.ndarray:
    """Return the median over seeds, over the steps that all have."""
    shortest = min(len(trace) for trace in traces)
    median: np.ndarray = np.median(np.stack([trace[:shortest] for trace in traces]), axis=0)
    return median


def number_cell(value: float | None, digits: int = 3) -> Cell:
    """Return a number with significant digits as a table cell."""
    return Cell(UNKNOWN if value is None else significant(value, digits), value)
