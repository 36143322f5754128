"""The frontier: which subjects are on it, what is read of a run, and a figure with its table."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from made_run import MakeRun, make_run

from stabbench.records import DENSE, Measurement, Row
from stabbench.report.figures.frontier import Point, on_frontier
from stabbench.report.frontier import costs, frontier, kept
from stabbench.report.source import Source
from stabbench.store.run_folder import RunFolder

__all__ = ["make_run"]


def point(x: float, y: float) -> Point:
    return Point(0, 0, x, y)


@pytest.mark.parametrize("more", [False, True])
def test_a_point_is_on_the_frontier_unless_another_is_better_in_one_and_worse_in_none(more: bool) -> None:
    points = [point(x, y) for x, y in itertools.product((1.0, 2.0, 3.0), (0.5, 0.9)) if (x, y) != (1.0, 0.9)]

    found = {(p.x, p.y) for p in on_frontier(points, more)}

    assert found == ({(3.0, 0.9)} if more else {(1.0, 0.5), (2.0, 0.9)})


def test_equal_points_do_not_beat_each_other_and_none_gives_none() -> None:
    assert len(on_frontier([point(1, 1), point(1, 1)], False)) == 2
    assert on_frontier([], True) == []


def _with(run: RunFolder, more: list[Row]) -> Source:
    source = Source(run)
    source.rows = [*source.rows, *more]
    return source


def _latency(variant: str, compression: str, scale: float) -> list[Row]:
    shapes = [{"batch": 1, "length": 32}, {"batch": 32, "length": 32}]
    cold = {"scenario": "cold"}
    numbers = [
        Measurement("latency.p50", 0.010 * scale, "seconds", "lower", shapes[0]),
        Measurement("latency.p50", 0.2 * scale, "seconds", "lower", shapes[1]),
        Measurement("throughput.tokens", 900 / scale, "tokens/s", "higher", shapes[1]),
        Measurement("latency.p50", 3 * scale, "seconds", "lower", cold),
        Measurement("memory.peak", 5e8 * scale, "bytes", "lower"),
        *(Measurement("size.part", 4e7 * scale, "bytes", "lower", {"part": p}) for p in ("embeddings", "weights")),
    ]
    return [Row(variant, "0", compression, "latency", m) for m in numbers]


def test_costs_and_what_is_kept_are_read_from_the_rows(make_run: MakeRun) -> None:
    run = make_run(probes=("accuracy", "noise"))
    noisy = [
        replace(
            row, compression="int8-dynamic", measurement=replace(row.measurement, value=0.9 * row.measurement.value)
        )
        for row in Source(run).rows
        if row.measurement.metric == "noise.accuracy" and not row.measurement.at and row.measurement.value is not None
    ]
    source = _with(run, [*_latency("baseline", "int8-dynamic", 0.5), *noisy])

    assert costs(source, "baseline", "int8-dynamic") == pytest.approx(
        {"size": 4e7, "memory": 2.5e8, "cold": 1.5, "p50": 0.005, "tokens": 1800}
    )
    assert kept(source, "baseline", DENSE) == {"loyalty": 1.0, "robustness": 1.0}
    assert kept(source, "baseline", "int8-dynamic") == pytest.approx({"loyalty": 0.97, "robustness": 0.9})
    assert kept(Source(run), "baseline", "int8-dynamic")["robustness"] is None


def test_figure_and_table_hold_every_subject(make_run: MakeRun) -> None:
    run = make_run(probes=("accuracy", "noise"))
    groups = list(itertools.product(("baseline", "stabilized"), ((DENSE, 1.0), ("int8-dynamic", 0.4))))
    source = _with(run, [row for variant, (name, scale) in groups for row in _latency(variant, name, scale)])

    (drawing,), (table,) = frontier(source)

    assert len(table.rows) == 4
    assert list(table.head)[1:6] == ["size, MB", "peak memory, MB", "cold start, s", "p50, ms", "tokens/s"]
    assert "5 panels" in drawing.description
    assert "int8-dynamic" in drawing.svg


def test_without_compression_there_is_no_frontier(make_run: MakeRun) -> None:
    assert frontier(Source(make_run(probes=("accuracy",), compressions=False, seeds=3))) == ([], [])
