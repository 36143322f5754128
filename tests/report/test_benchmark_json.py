"""Entries that github-action-benchmark accepts, each turned so that a smaller value is the better one."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_claims import claim, document, verdicts

from stabbench.claims.metrics import METRICS
from stabbench.report.benchmark_json import benchmark_entries


@settings(max_examples=60, deadline=None)
@given(verdict=verdicts())
def test_every_entry_has_the_fields_and_types_that_the_action_reads(verdict: dict[str, Any]) -> None:
    entries = json.loads(json.dumps(benchmark_entries(verdict), allow_nan=False))

    assert len({entry["name"] for entry in entries}) == len(entries)
    for entry in entries:
        assert set(entry) == {"name", "unit", "value", "range", "extra"}
        assert all(isinstance(entry[name], str) for name in ("name", "unit", "range", "extra"))
        assert isinstance(entry["value"], int | float)


@settings(max_examples=100, deadline=None)
@given(metric=st.sampled_from(sorted(METRICS)), first=st.floats(0.01, 0.99), second=st.floats(0.01, 0.99))
def test_the_better_candidate_always_has_the_smaller_value(metric: str, first: float, second: float) -> None:
    def value(candidate_value: float) -> float | None:
        entries = benchmark_entries(document([claim(metric=metric, candidate_value=candidate_value)]))
        return entries[0]["value"] if entries else None

    better = METRICS[metric].better
    if better == "neither":
        assert value(first) is None
    elif not math.isclose(first, second, rel_tol=1e-9):
        smaller, larger = value(min(first, second)), value(max(first, second))
        assert smaller is not None
        assert larger is not None
        assert (smaller < larger) == (better == "lower")


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
def test_what_is_unknown_or_not_finite_has_no_entry(unknown: float | None) -> None:
    assert benchmark_entries(document([claim(candidate_value=unknown)])) == []


def test_an_entry_names_the_claim_and_says_what_it_is() -> None:
    (entry,) = benchmark_entries(document([claim("improved", interval=(0.01, 0.03))]))

    assert entry == {
        "name": "accuracy:stabilized@dense:baseline@dense",
        "unit": "1 − share",
        "value": pytest.approx(0.28),
        "range": "difference +2.0 points, 95 % CI +1.0 … +3.0",
        "extra": "accuracy, stabilized vs baseline: improved (primary)",
    }


def test_a_value_whose_inverse_is_no_number_has_no_entry() -> None:
    assert benchmark_entries(document([claim(metric="attack.queries", candidate_value=2e-311)])) == []
