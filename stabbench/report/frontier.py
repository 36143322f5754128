"""What a subject costs against what it keeps: the values behind the frontier figure and its table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stabbench.records import DENSE
from stabbench.report.data import Cell, Table
from stabbench.report.figures.frontier import Axis, Point, frontier_panels
from stabbench.report.figures.svg import Drawing
from stabbench.report.numbers import fixed, megabytes, milliseconds, significant
from stabbench.report.robustness import successful
from stabbench.report.source import Source


@dataclass(frozen=True)
class Cost:
    """One cost: how it is called, written, and which direction is better."""

    name: str
    label: str
    text: Callable[[float | None], str]
    scale: float
    better: str


COSTS = (
    Cost("size", "size, MB", megabytes, 1e-6, "lower"),
    Cost("memory", "peak memory, MB", megabytes, 1e-6, "lower"),
    Cost("cold", "cold start, s", lambda value: significant(value), 1.0, "lower"),
    Cost("p50", "p50, ms", milliseconds, 1e3, "lower"),
    Cost("tokens", "tokens/s", lambda value: significant(value), 1.0, "higher"),
)
KEPT = (("loyalty", "label loyalty"), ("robustness", "robustness kept"))
Values = Mapping[str, float | None]


def frontier(source: Source) -> tuple[list[Drawing], list[Table]]:
    """Return the figure and its table; nothing where no compressed subject has both a cost and something kept."""
    groups = [(variant, compression) for compression in source.compressions for variant in source.variants]
    found = {group: {**costs(source, *group), **kept(source, *group)} for group in groups}
    wanted = [cost for cost in COSTS if _measured(found, cost.name)]
    shown = [name for name, _ in KEPT if _measured(found, name, DENSE)]
    if not wanted or not shown:
        return [], []
    return [_figure(source, found, wanted, shown)], [_table(found, wanted, shown)]


def costs(source: Source, variant: str, compression: str) -> dict[str, float | None]:
    """Return what one subject costs, in bytes, seconds and tokens per second; None where it was not measured."""
    places = [dict(row.measurement.at) for row in source.find("latency.p50", variant, compression)]
    shapes = sorted((at for at in places if "batch" in at), key=lambda at: (at["length"], at["batch"]))
    return {
        "size": _size(source, variant, compression),
        "memory": source.one("memory.peak", variant, compression),
        "cold": source.one("latency.p50", variant, compression, {"scenario": "cold"}),
        "p50": source.one("latency.p50", variant, compression, shapes[0]) if shapes else None,
        "tokens": source.one("throughput.tokens", variant, compression, shapes[-1]) if shapes else None,
    }


def kept(source: Source, variant: str, compression: str) -> dict[str, float | None]:
    """Return what one subject keeps of its dense model, means over the seeds that did not fail.

    Loyalty is the share of equal answers; robustness kept is accuracy under noise (or, where none was measured, under
    attack) divided by the dense model's. Of the dense model both are 1 by definition.
    """
    if compression == DENSE:
        return {"loyalty": 1.0, "robustness": 1.0}
    fine = set(successful(source, variant))
    loyal = source.by_seed("compression.label_loyalty", variant, compression)
    return {
        "loyalty": _mean([value for seed, value in loyal.items() if seed in fine]),
        "robustness": _robustness(source, variant, compression, fine),
    }


def _robustness(source: Source, variant: str, compression: str, fine: set[str]) -> float | None:
    for metric in ("noise.accuracy", "attack.accuracy_under_attack"):
        places = [dict(row.measurement.at) for row in source.find(metric, variant, compression)]
        at = {} if {} in places else next(iter(places), None)
        if at is None:
            continue
        after, before = (source.by_seed(metric, variant, name, at) for name in (compression, DENSE))
        pairs = [(after[seed], before[seed]) for seed in after if seed in before and seed in fine]
        above, below = math.fsum(a for a, _ in pairs), math.fsum(b for _, b in pairs)
        if below > 0 and math.isfinite(above):
            return above / below
    return None


def _size(source: Source, variant: str, compression: str) -> float | None:
    parts = [row.measurement.value for row in source.find("size.part", variant, compression)]
    if parts and None not in parts:
        return math.fsum(value for value in parts if value is not None)
    sizes = [row.measurement.value for row in source.find("compression.size", variant, compression)]
    return next((value for value in sizes if value is not None), None)


def _measured(found: Mapping[tuple[str, str], Values], name: str, unlike: str = "") -> bool:
    return any(values[name] is not None for (_, compression), values in found.items() if compression != unlike)


def _figure(
    source: Source, found: Mapping[tuple[str, str], Values], wanted: Sequence[Cost], shown: Sequence[str]
) -> Drawing:
    labels = [compression for compression in source.compressions if compression != DENSE]
    numbers: dict[str, Any] = {DENSE: 0, **{label: index for index, label in enumerate(labels, 1)}}
    panels = {}
    for cost in wanted:
        for name, axis in (entry for entry in KEPT if entry[0] in shown):
            points = [
                Point(numbers[compression], source.variants.index(variant), x * cost.scale, y)
                for (variant, compression), values in found.items()
                if (x := values[cost.name]) is not None and (y := values[name]) is not None
            ]
            panels[axis, cost.label] = (Axis(cost.label, cost.better == "higher"), points)
    return frontier_panels(panels, source.variants, [DENSE, *labels])


def _table(found: Mapping[tuple[str, str], Values], wanted: Sequence[Cost], shown: Sequence[str]) -> Table:
    rows = []
    for (variant, compression), values in found.items():
        cells = [Cell(f"{variant}, {compression}", None, False)]
        cells += [Cell(cost.text(values[cost.name]), values[cost.name]) for cost in wanted]
        cells += [Cell(fixed(values[name], 3), values[name]) for name in shown]
        rows.append(cells)
    head = ["subject", *(cost.label for cost in wanted), *(label for name, label in KEPT if name in shown)]
    note = (
        "Loyalty: share of answers equal to the dense model's. Robustness kept: accuracy under noise, else under "
        "attack, divided by the dense model's; means over seeds that did not fail. Peak memory and cold start are of a "
        "fresh process. p50 at the smallest shape, tokens/s at the largest."
    )
    return Table("What a subject costs and what it keeps", head, rows, note)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values and all(map(math.isfinite, values)) else None
