"""Rows of the scenarios with processes of their own, and of what was counted and not timed. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.probes._latency.arrivals import Outcome
from stabbench.probes._latency.protocol import Protocol
from stabbench.probes._latency.results import place_of, row
from stabbench.probes._latency.samples import PERCENTILES, Place, Samples
from stabbench.records import Coordinate, Direction, Measurement, Row

COLD: Mapping[str, Coordinate] = {"scenario": "cold"}
SERVER: Mapping[str, Coordinate] = {"scenario": "server"}


def cold_rows(told: Sequence[Mapping[int, Mapping[str, Any]]], protocol: Protocol) -> list[Row]:
    """Return the rows of the cold starts: from the start of the process to its first answer, its parts, its memory."""
    found = {
        (process, subject): Samples([answer["total"]], [answer["wait"]], [0])
        for process, mine in enumerate(told)
        for subject, answer in mine.items()
    }
    result = Place(COLD, protocol.subjects, found).rows()
    for index, timed in enumerate(protocol.subjects):
        if not timed.replicate:
            answers = [mine[index] for mine in told]
            result += [row(timed, measurement) for measurement in _cold_parts(answers)]
    return result


def _cold_parts(answers: Sequence[Mapping[str, Any]]) -> list[Measurement]:
    found = [_median("latency.cold_part", [a[part] for a in answers], "seconds", {"part": part}) for part in
             ("import", "load", "first")]  # fmt: skip
    found.append(_median("latency.calls_until_steady", [a["calls"] for a in answers], "calls", COLD))
    for metric, part in (("memory.peak", "peak"), ("memory.imports", "imports"), ("memory.serving", "serving")):
        found.append(_median(metric, [a["memory"][part] for a in answers], "bytes", {}))
    return found


def server_rows(told: Mapping[str, Any], protocol: Protocol) -> list[Row]:
    """Return the rows of the server scenario: latency from the due time at each load, refusals, throughput."""
    processes, plan = told["processes"], protocol.server
    result: list[Row] = []
    for load in plan.loads:
        at = {**SERVER, "load": load}
        seen = {(p, s): mine["loads"][str(load)] for p, those in enumerate(processes) for s, mine in those.items()}
        # A load of which nothing was answered has no latency; then nobody's at this load can be compared.
        if all(found["latencies"] for found in seen.values()):
            samples = {key: _server_samples(found) for key, found in seen.items()}
            result += _without_percentiles(Place(at, protocol.subjects, samples).rows())
        for index, timed in enumerate(protocol.subjects):
            if not timed.replicate:
                outcomes = [Outcome(tuple(f["latencies"]), f["refused"]) for (_, s), f in seen.items() if s == index]
                result += [row(timed, measurement) for measurement in _of_load(outcomes, at)]
    bound = {**SERVER, "bound": plan.bound}
    for index, timed in enumerate(protocol.subjects):
        if not timed.replicate:
            mine = [those[index] for those in processes]
            # Not even the lowest rate tried: 0 texts per second within the bound.
            rates = [found["at_bound"] or 0.0 for found in mine]
            result.append(row(timed, _median("throughput.at_bound", rates, "texts/s", bound, "higher")))
            capacities = [found["capacity"] for found in mine]
            result.append(row(timed, _median("throughput.closed_loop", capacities, "texts/s", SERVER, "higher")))
    return result


def _server_samples(found: Mapping[str, Any]) -> Samples:
    """Latencies as rounds; a wait counts against the time the server was busy, not against the queue's."""
    scaled = [
        None if wait is None else wait / busy * latency if busy > 0 else 0.0
        for wait, busy, latency in zip(found["waits"], found["busy"], found["latencies"], strict=True)
    ]
    return Samples(list(found["latencies"]), scaled, [0] * len(scaled))


def _without_percentiles(rows: Sequence[Row]) -> list[Row]:
    """Leave out the percentiles of answered requests alone: `_of_load` has those that count the refused ones."""
    names = {f"latency.p{percentile}" for percentile in PERCENTILES}
    return [found for found in rows if found.measurement.metric not in names]


def _of_load(outcomes: Sequence[Outcome], at: Mapping[str, Coordinate]) -> list[Measurement]:
    everything = Outcome(tuple(x for o in outcomes for x in o.latencies), sum(o.refused for o in outcomes))
    n = len(everything.latencies) + everything.refused
    found = [Measurement("latency.refused", everything.refused_share, "share", "lower", at, n, n)]
    for percentile, needed in PERCENTILES.items():
        if n >= needed:
            value = everything.quantile(percentile / 100)
            found.append(Measurement(f"latency.p{percentile}", value, "seconds", "lower", at, n, n))
    return found


def fact_rows(facts: Sequence[Mapping[str, Any]], protocol: Protocol) -> list[Row]:
    """Return what was counted: bytes by part, and multiply-accumulate operations per 1,000 texts."""
    result = []
    for timed, found in zip(protocol.subjects, facts, strict=True):
        if timed.replicate:
            continue
        for part, size in found["size"].items():
            measurement = Measurement("size.part", float(size), "bytes", "lower", {"part": part})
            result.append(row(timed, measurement))
        for batch, length in protocol.shapes:
            count = found["macs"].get(f"{batch}x{length}")
            if count is not None:
                at, value = place_of(batch, length), count * 1000 / batch
                result.append(row(timed, Measurement("cost.macs", value, "MAC per 1000 texts", "lower", at)))
    return result


def _median(
    metric: str,
    values: Sequence[float | None],
    unit: str,
    at: Mapping[str, Coordinate],
    better: Direction = "lower",
) -> Measurement:
    known = [value for value in values if value is not None]
    value = float(np.median(known)) if known else None
    return Measurement(metric, value, unit, better, at, len(known), len(values))
