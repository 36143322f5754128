"""The cost table against sums made by hand, and what is said about kept weights."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from stabbench.records import DENSE, Measurement, Row
from stabbench.report.cost import checkpoint_notes, step_ratio, training_cost
from stabbench.report.source import Source

SECONDS = {"baseline": {"0": 0.1, "1": 0.4, "2": 0.2}, "doubled": {"0": 0.2, "1": 0.6, "3": 9.0}}
PASSES = {"baseline": (1.0, 1.0), "doubled": (2.0, 2.0)}
STEPS = {"baseline": 60, "doubled": 30}


def made(details: dict[str, dict[str, Any]] | None = None, measured: bool = True) -> Source:
    rows = []
    for variant, values in SECONDS.items() if measured else ():
        for seed, seconds in values.items():
            n = STEPS[variant]
            numbers = [Measurement("train.step_seconds", seconds, "seconds", "lower", n_used=n)]
            for kind, value in zip(("forward", "backward"), PASSES[variant], strict=True):
                numbers.append(Measurement(f"train.{kind}_passes", value, "passes/step", "lower", n_used=n))
            rows += [Row(variant, seed, DENSE, "train", number) for number in numbers]
    cells = {name: SimpleNamespace(details=content) for name, content in (details or {}).items()}
    suite = {"compare": {"reference": "baseline"}, "variants": {name: {} for name in SECONDS}}
    plan = {"cells": [{"kind": "train", "seed": seed} for seed in ("0", "1")]}
    return Source(cast(Any, SimpleNamespace(suite=suite, rows=rows, plan=plan, cell=cells.get)))


def test_ratios_are_geometric_means_over_the_seeds_that_both_have() -> None:
    source = made()

    assert step_ratio(source, "doubled", "baseline") == pytest.approx(math.sqrt(2.0 * 1.5))
    assert step_ratio(source, "baseline", "baseline") == pytest.approx(1.0)


def test_the_table_shows_passes_and_what_all_of_training_took() -> None:
    (table,) = training_cost(made())

    baseline, doubled = table.rows
    assert [cell.value for cell in baseline[1:]] == pytest.approx([60, 1, 1, 0.7 / 3, 1.0, 1.0])
    assert [cell.value for cell in doubled[1:]] == pytest.approx([30, 2, 2, 9.8 / 3, math.sqrt(3.0), 1.0])
    assert len(table.head) == len(baseline)


def test_a_run_without_the_measurements_has_no_table() -> None:
    assert training_cost(made(measured=False)) == []


def test_kept_weights_are_said_where_the_validation_split_was_looked_at() -> None:
    best = {"checkpoint": "best", "stopped_early": True}
    details = {"train/doubled/0": best, "train/doubled/1": best | {"stopped_early": False}, "train/baseline/0": {}}

    (note,) = checkpoint_notes(made(details))

    assert note.startswith("doubled: ")
    assert "1 of 2 runs stopped early; the weights of the best evaluation are measured" in note
