"""What compression does to answers, in the report: limits over seeds, failed runs left out, older runs without it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from stabbench.records import DENSE, Measurement, Row
from stabbench.report.efficiency import efficiency
from stabbench.report.source import Source

TITLE = "What else compression does to answers"
LIMITS = {"0": (0.01, 0.03), "1": (0.02, 0.06), "2": (0.3, 0.9)}


def made(further: bool) -> Source:
    rows = []
    for seed, (low, high) in LIMITS.items():
        failed = float(seed == "2")
        rows.append(Row("baseline", seed, DENSE, "train", Measurement("train.failed", failed, "runs", "lower")))
        numbers = {"size": 10.0, "flip_rate": 0.02}
        if further:
            numbers |= {"flip_rate_low": low, "flip_rate_high": high, "ece_change": 0.01, "seed_churn": 0.5}
        for name, value in numbers.items():
            found = Measurement(f"compression.{name}", value, "share", "lower", n_used=100)
            rows.append(Row("baseline", seed, "bf16", "compression", found))
    suite = {"compare": {"reference": "baseline"}, "variants": {"baseline": {}}, "compressions": ["bf16"]}
    cells = [{"kind": "train", "seed": s, "variant": "baseline", "compression": DENSE} for s in LIMITS]
    cells += [{"kind": "probe", "seed": s, "variant": "baseline", "compression": "bf16"} for s in LIMITS]
    nothing: dict[str, Any] = {}
    return Source(cast(Any, SimpleNamespace(suite=suite, rows=rows, plan={"cells": cells}, cell=nothing.get)))


def test_the_widest_limits_of_the_seeds_that_did_not_fail_are_shown() -> None:
    section = efficiency(made(further=True))

    assert section is not None
    (table,) = (table for table in section.tables if table.caption == TITLE)
    (row,) = table.rows
    assert row[0].text == "baseline, bf16"
    assert row[1].text == "1.0% to 6.0%"
    assert row[1].value == pytest.approx(0.06)
    assert row[table.head.index("flips over a seed's")].text.startswith("0.5")
    assert row[table.head.index("texts cut otherwise")].text == "–"


def test_a_run_of_an_older_probe_has_no_such_table() -> None:
    section = efficiency(made(further=False))

    assert section is not None
    assert TITLE not in [table.caption for table in section.tables]
