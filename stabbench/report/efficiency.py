"""The section on compression, latency and throughput."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stabbench.records import DENSE
from stabbench.report.data import Cell, Section, Table
from stabbench.report.figures.latency import ratio_dots
from stabbench.report.frontier import frontier
from stabbench.report.numbers import fixed, megabytes, milliseconds, significant
from stabbench.report.robustness import successful
from stabbench.report.sections import group_cell
from stabbench.report.source import Source


def efficiency(source: Source) -> Section | None:
    """Return the section on compressed subjects and on latency; None where neither was measured."""
    metrics = source.metrics()
    tables = []
    if "compression.size" in metrics:
        tables += [_behaviour(source), *_further(source)]
    drawings = []
    if "latency.p50" in metrics:
        tables.append(_latency(source))
        drawings.append(ratio_dots(*_panels(source)))
    if not tables:
        return None
    frontiers, costs = frontier(source)
    drawings += frontiers
    tables += costs
    lead = (
        "What compression changes in the answers, and what it buys. Latency: one thread, fresh "
        "processes, every subject in each, real token lengths."
    )
    return Section("efficiency", "Compression and latency", lead, drawings, tables, notes=_floor(source))


def _behaviour(source: Source) -> Table:
    metrics = (
        ("accuracy", "accuracy"),
        ("compression.flip_rate", "answers flipped"),
        ("compression.negative_flips", "right → wrong"),
        ("compression.label_loyalty", "label loyalty"),
        ("compression.probability_loyalty", "probability loyalty"),
        ("compression.batch_flip_rate", "batch flips"),
    )
    rows = []
    for compression in source.compressions:
        for variant in source.variants:
            fine = set(successful(source, variant))
            values = [
                {s: x for s, x in source.by_seed(m, variant, compression).items() if s in fine} for m, _ in metrics
            ]
            size = _first(source, "compression.size", variant, compression)
            ratio = _first(source, "compression.size_ratio", variant, compression)
            rows.append(
                [
                    Cell(f"{variant}, {compression}", None, False),
                    Cell(megabytes(size), size),
                    Cell("–" if ratio is None else f"{ratio:.0%}", ratio),
                    *(group_cell(v) for v in values),
                ]
            )
    head = ["subject", "size, MB", "of dense", *(name for _, name in metrics)]
    note = (
        "Runs that did not fail, mean ± SD over seeds. Label loyalty: share of answers equal to "
        "the uncompressed model's. Probability loyalty: "
        "1 − √(Jensen-Shannon divergence, base 2). Batch flips: answers that depend on which "
        "other texts share the batch."
    )
    return Table("Compressed models against the models they were made from", head, rows, note)


def _further(source: Source) -> list[Table]:
    """Return what else compression does to answers; nothing where a run of an older probe has none of it."""
    metrics = (
        ("compression.positive_flips", "wrong → right"),
        ("compression.seed_churn", "flips over a seed's"),
        ("compression.ece_change", "ECE added"),
        ("compression.padding_flip_rate", "flips by padding"),
        ("compression.nondeterminism", "change when asked again"),
        ("compression.uncovered_texts", "texts cut otherwise"),
    )
    if not any(name in source.metrics() for name, _ in metrics):
        return []
    rows = []
    for compression in (name for name in source.compressions if name != DENSE):
        for variant in source.variants:
            fine = set(successful(source, variant))
            values = [
                {s: x for s, x in source.by_seed(m, variant, compression).items() if s in fine} for m, _ in metrics
            ]
            limits = _flip_limits(source, variant, compression, fine)
            rows.append([Cell(f"{variant}, {compression}", None, False), limits, *(group_cell(v) for v in values)])
    head = ["subject", "flips, Wilson 95 %", *(name for _, name in metrics)]
    note = (
        "Runs that did not fail. Wilson: the widest limits of any seed, over its texts. Flips over a seed's: answers "
        "that compression flips over those on which two uncompressed seeds differ; below 1, training again moves more. "
        "ECE added: calibration error after less before, 15 bins."
    )
    return [Table("What else compression does to answers", head, rows, note)]


def _flip_limits(source: Source, variant: str, compression: str, seeds: set[str]) -> Cell:
    ends = [source.by_seed(f"compression.flip_rate_{end}", variant, compression) for end in ("low", "high")]
    low, high = ([x for seed, x in end.items() if seed in seeds] for end in ends)
    return Cell(f"{min(low):.1%} to {max(high):.1%}", max(high)) if low and high else Cell("–", None)


def _first(source: Source, metric: str, variant: str, compression: str) -> float | None:
    """Return a size: the same for every seed, but where a seed has none."""
    values = (row.measurement.value for row in source.find(metric, variant, compression))
    return next((value for value in values if value is not None), None)


def _places(source: Source) -> list[dict[str, Any]]:
    """Return the measured (batch, length) places, in order."""
    found: list[dict[str, Any]] = []
    for row in source.rows:
        if row.measurement.metric == "latency.p50" and (at := dict(row.measurement.at)) not in found:
            found.append(at)
    return sorted(
        found, key=lambda at: (str(at.get("scenario", "")), at.get("length", 0), at.get("batch", at.get("load", 0)))
    )


def _name(at: Mapping[str, Any]) -> str:
    if "load" in at:
        return f"server at {at['load']:.0%} load"
    return str(at["scenario"]) if "scenario" in at else f"batch {at['batch']}, {at['length']} tokens"


def _latency(source: Source) -> Table:
    places = _places(source)
    # Of the fixed shapes the largest; throughput of a mix or a server is told by the probe's own rows.
    largest = next((at for at in reversed(places) if "batch" in at), None)
    rows = []
    for compression in source.compressions:
        for variant in source.variants:
            cells = [Cell(f"{variant}, {compression}", None, False)]
            for at in places:
                p50 = source.one("latency.p50", variant, compression, at)
                ratio = source.one("latency.ratio", variant, compression, at)
                cells += [Cell(milliseconds(p50), p50), Cell("–" if ratio is None else f"{fixed(ratio, 3)}×", ratio)]
            if largest is not None:
                texts = source.one("throughput.texts", variant, compression, largest)
                tokens = source.one("throughput.tokens", variant, compression, largest)
                cells += [Cell(significant(texts), texts), Cell(significant(tokens), tokens)]
            rows.append(cells)
    head = ["subject"]
    for at in places:
        head += [f"p50, ms ({_name(at)})", f"ratio ({_name(at)})"]
    if largest is not None:
        head += [f"texts/s ({_name(largest)})", f"tokens/s ({_name(largest)})"]
    note = (
        "p50: median over processes of each process's median; ratio: to the reference's "
        "uncompressed model, geometric mean over processes. "
        "Ratios decide, not milliseconds. No percentile beyond the median is shown that the "
        "number of rounds does not support."
    )
    return Table("Latency and throughput", head, rows, note)


def _ratios(source: Source, variant: str, compression: str, at: Mapping[str, Any]) -> list[float]:
    reference = _by_process(source, source.variants[0], DENSE, at)
    found = _by_process(source, variant, compression, at)
    return [found[process] / reference[process] for process in found if reference.get(process)]


def _by_process(source: Source, variant: str, compression: str, at: Mapping[str, Any]) -> dict[Any, float]:
    rows = source.find("latency.process_p50", variant, compression)
    return {
        row.measurement.at["process"]: row.measurement.value
        for row in rows
        if row.measurement.value is not None
        and {k: v for k, v in row.measurement.at.items() if k != "process"} == dict(at)
    }


def _replicate(source: Source, at: Mapping[str, Any]) -> list[float]:
    rows = [row for row in source.rows if row.measurement.metric == "latency.aa_ratio" and row.measurement.value]
    return [
        float(row.measurement.value or 0.0)
        for row in rows
        if {k: v for k, v in row.measurement.at.items() if k != "process"} == dict(at)
    ]


def _panels(source: Source) -> tuple[dict[str, list[tuple[str, int, list[float]]]], dict[str, list[float]]]:
    panels: dict[str, list[tuple[str, int, list[float]]]] = {}
    for at in _places(source):
        panels[_name(at)] = [
            (f"{variant}, {compression}", index, _ratios(source, variant, compression, at))
            for compression in source.compressions
            for index, variant in enumerate(source.variants)
            if source.find("latency.p50", variant, compression)
        ]
    return panels, {_name(at): _replicate(source, at) for at in _places(source)}


def _floor(source: Source) -> list[str]:
    """Say how far apart equal models came, and how much of the time something else had the processor."""
    notes = []
    for at in _places(source):
        if ratios := _replicate(source, at):
            middle = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
            notes.append(
                f"{_name(at)}: the A/A replicate of the reference came out at {fixed(middle, 3)}× "
                f"(processes from {fixed(min(ratios), 3)}× to "
                f"{fixed(max(ratios), 3)}×); differences of that size mean nothing."
            )
    shares = [
        r.measurement.value
        for r in source.rows
        if r.measurement.metric == "latency.contaminated" and r.measurement.value is not None
    ]
    if shares:
        notes.append(
            "Rounds that waited for a processor more than 5 % of their time: at most "
            f"{max(shares):.0%} of a subject's rounds."
        )
    return notes
