"""Not worse by a margin: the one-sided test against SciPy's, and everything that must not pass it."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from stabbench.claims.build import build_claims
from stabbench.claims.metrics import METRICS
from stabbench.claims.non_inferiority import not_worse
from stabbench.records import Measurement, Row

shares = st.lists(st.tuples(st.integers(300, 590), st.integers(300, 590)), min_size=2, max_size=8)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="session")
def judged(make_suite):
    """Return (claim, rows, suite) of one metric from (baseline, stabilized) per seed."""

    def run(pairs, metric="accuracy", **compare):
        rows = [
            Row(variant, str(seed), "dense", metric, Measurement(metric, value, "share", METRICS[metric].better))
            for seed, both in enumerate(pairs)
            for variant, value in zip(("baseline", "stabilized"), both, strict=True)
        ]
        suite = make_suite(seeds=len(pairs), compare={"primary": [metric, "train.failed"], **compare})
        return next(claim for claim in build_claims(rows, suite) if claim.metric == metric), rows, suite

    return run


@quick
@given(pairs=shares, by=st.floats(0, 0.3))
def test_it_holds_exactly_where_scipys_one_sided_t_test_rejects_being_worse_by_more(judged, pairs, by) -> None:
    pairs = [(a / 600, b / 600) for a, b in pairs]
    differences = [b - a for a, b in pairs]
    found = not_worse(*judged(pairs), by)

    if max(differences) - min(differences) < 1e-9:
        assert found.holds == all(difference == 0 for difference in differences)
        return
    p = stats.ttest_1samp(differences, -by, alternative="greater").pvalue
    if abs(p - 0.05) > 1e-6:
        assert found.holds == (p < 0.05)
    ends = stats.t.interval(0.9, len(pairs) - 1, loc=sum(differences) / len(pairs), scale=stats.sem(differences))
    assert found.bound == pytest.approx(ends[0])


@quick
@given(pairs=shares, by=st.floats(0, 0.5))
def test_where_less_is_better_the_bound_is_the_upper_one_and_ratios_are_relative(judged, pairs, by) -> None:
    pairs = [(a / 600, b / 600) for a, b in pairs]
    logs = [math.log(b / a) for a, b in pairs]
    if max(logs) - min(logs) < 1e-9 or len(pairs) < 3:
        return
    found = not_worse(*judged(pairs, "noise.mce"), by)

    p = stats.ttest_1samp(logs, math.log1p(by), alternative="less").pvalue
    if abs(p - 0.05) > 1e-6:
        assert found.holds == (p < 0.05)


def test_the_bound_is_not_at_the_holm_level_of_the_claim(judged) -> None:
    pairs = [(0.7, 0.69), (0.7, 0.70), (0.7, 0.71), (0.7, 0.70), (0.7, 0.69), (0.7, 0.71)]
    claim, rows, suite = judged(pairs)

    found = not_worse(claim, rows, suite, 0.02)

    assert claim.verdict in ("inconclusive", "equivalent")
    assert claim.level > 0.95
    assert found.holds
    assert found.bound > claim.interval[0]
    assert found.reason == "at worst −0.7 points (one-sided 95 %), allowed −2.0 points"


def test_an_inconclusive_claim_with_a_wide_interval_does_not_pass_however_small_its_effect(judged) -> None:
    claim, rows, suite = judged([(0.7, 0.8), (0.7, 0.6), (0.7, 0.75), (0.7, 0.65)])

    assert claim.effect == pytest.approx(0.0)
    assert claim.verdict == "inconclusive"
    assert not not_worse(claim, rows, suite, 0.02).holds


def test_failed_runs_use_newcombes_bound(judged) -> None:
    """Six runs without a failure in either arm exclude little: Wilson's one-sided 95 % limit of 0/6 is z²/(6 + z²)."""
    claim, rows, suite = judged([(0.0, 0.0)] * 6, "train.failed")

    z2 = stats.norm.ppf(0.95) ** 2
    found = not_worse(claim, rows, suite, 0.1)

    assert found.bound == pytest.approx(z2 / (6 + z2))
    assert not found.holds
    assert not_worse(claim, rows, suite, 0.32).holds


@pytest.mark.parametrize(
    ("pairs", "holds", "reason"),
    [
        ([(0.7, 0.7)] * 3, True, "at worst +0.0 points"),
        ([(0.5, 0.75)] * 3, False, "differences are equal"),
        ([(0.7, 0.7)], False, "one seed"),
        ([(0.7, 0.7), (0.7, math.nan)], False, "not finite"),
    ],
)
def test_edges_have_a_defined_answer(judged, pairs, holds: bool, reason: str) -> None:
    found = not_worse(*judged(pairs), 0.02)

    assert found.holds == holds
    assert reason in found.reason


def test_what_is_not_comparable_or_incomplete_does_not_pass(judged) -> None:
    claim, rows, suite = judged([(0.7, 0.7)] * 4)
    left = [row for row in rows if (row.variant, row.seed) != ("stabilized", "3")]
    incomplete = next(c for c in build_claims(left, suite) if c.metric == "accuracy")

    found = not_worse(incomplete, left, suite, 0.5)

    assert claim.verdict == "equivalent"
    assert not found.holds
    assert found.reason.startswith("incomplete: ")


@pytest.mark.parametrize("by", [-0.01, math.nan, math.inf])
def test_a_limit_must_be_a_number_from_zero(judged, by: float) -> None:
    with pytest.raises(ValueError, match="by must be"):
        not_worse(*judged([(0.7, 0.7)] * 3), by)
