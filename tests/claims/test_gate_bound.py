"""A rule's test is the field's non-inferiority test: its p and bounds are those of scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from stabbench.claims.gate_bound import judge
from stabbench.statistics.failures import newcombe
from stabbench.statistics.paired import paired_t
from stabbench.statistics.proportions import clopper_pearson
from stabbench.statistics.spread import log_sd_ratio

DIFFERENCES = [0.02, -0.01, 0.004, -0.013, 0.008, -0.02]


def t_interval(differences):
    return lambda level: paired_t(differences, level).interval


@pytest.mark.parametrize("limit", [-0.05, -0.02, -0.01, -0.003, 0.0, 0.01, 0.05])
@pytest.mark.parametrize("shift", [0.0, -0.03, 0.02])
def test_not_below_is_the_one_sided_t_test(limit: float, shift: float) -> None:
    d = np.array(DIFFERENCES) + shift
    oracle = stats.ttest_1samp(d, limit, alternative="greater")
    half = stats.t.ppf(0.95, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d))

    found = judge(t_interval(list(d)), "lower", limit)

    assert found is not None
    assert found.p == pytest.approx(oracle.pvalue, abs=1e-9)
    assert (found.safe, found.other) == pytest.approx((d.mean() - half, d.mean() + half))
    assert (found.outcome == "pass") == (oracle.pvalue <= 0.05)
    assert (found.outcome == "fail") == (stats.ttest_1samp(d, limit, alternative="less").pvalue < 0.05)


@pytest.mark.parametrize("limit", [-0.02, 0.0, 0.02])
def test_not_above_is_the_mirror_of_not_below(limit: float) -> None:
    upper = judge(t_interval(DIFFERENCES), "upper", limit)
    lower = judge(t_interval([-d for d in DIFFERENCES]), "lower", -limit)

    assert upper is not None
    assert lower is not None
    assert (upper.outcome, upper.p) == (lower.outcome, lower.p)
    assert (upper.safe, upper.other) == (-lower.safe, -lower.other)


@pytest.mark.parametrize(
    ("before", "after"), [((0, 6), (0, 6)), ((1, 20), (2, 20)), ((0, 25), (0, 25)), ((0, 5), (5, 5))]
)
def test_failed_runs_use_newcombes_one_sided_bound(before: tuple[int, int], after: tuple[int, int]) -> None:
    oracle = confint_proportions_2indep(after[0], after[1], before[0], before[1], method="newcomb", alpha=0.10)

    found = judge(lambda level: newcombe(before, after, level).interval, "upper", 0.10)

    assert found is not None
    assert (found.other, found.safe) == pytest.approx(oracle, abs=1e-9)
    assert found.outcome == ("pass" if oracle[1] <= 0.10 else "fail" if oracle[0] > 0.10 else "undecided")


def test_its_p_is_where_newcombes_bound_meets_the_limit() -> None:
    found = judge(lambda level: newcombe((1, 30), (2, 30), level).interval, "upper", 0.10)

    assert found is not None
    assert found.p is not None
    met = confint_proportions_2indep(2, 30, 1, 30, method="newcomb", alpha=2 * found.p)
    assert met[1] == pytest.approx(0.10, abs=1e-6)


@pytest.mark.parametrize(("k", "n", "limit"), [(0, 10, 0.3), (0, 10, 0.2), (9, 10, 0.5), (3, 10, 0.3)])
def test_a_rate_at_most_a_limit_is_the_exact_binomial_test(k: int, n: int, limit: float) -> None:
    found = judge(lambda level: clopper_pearson(k, n, level).interval, "upper", limit)

    assert found is not None
    oracle = stats.binomtest(k, n, limit, alternative="less").pvalue
    assert found.p is not None
    assert found.p == pytest.approx(oracle, abs=1e-9) if oracle < 0.5 else found.p >= 0.5
    assert (found.outcome == "pass") == (found.p <= 0.05)


def test_spread_is_held_against_the_limit_on_the_log_scale() -> None:
    rng = np.random.default_rng(5)
    first, second = rng.normal(0, 1, 25), rng.normal(0, 0.3, 25)

    found = judge(lambda level: log_sd_ratio(list(first), list(second), level).interval, "upper", math.log(1.25))

    assert found is not None
    assert found.outcome == "pass"
    assert found.safe < math.log(1.25)


@pytest.mark.parametrize(("interval", "expected"), [(None, None), ((math.nan, math.nan), None)])
def test_without_an_interval_there_is_no_judgement(interval: tuple[float, float] | None, expected: None) -> None:
    assert judge(lambda level: interval, "lower", 0.0) is expected


def test_a_bound_that_equals_the_limit_respects_it_and_a_single_point_has_no_p() -> None:
    point = judge(lambda level: (0.0, 0.0), "lower", 0.0)

    assert point is not None
    assert (point.outcome, point.p) == ("pass", None)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=9).filter(lambda d: len(set(d)) > 1),
    st.floats(-1, 1),
    st.floats(0, 0.5),
)
def test_outcome_and_p_agree_and_a_looser_limit_never_makes_it_worse(d, limit, looser) -> None:
    order = {"fail": 0, "undecided": 1, "pass": 2}
    strict, loose = (judge(t_interval(d), "lower", value) for value in (limit, limit - looser))

    assert strict is not None
    assert loose is not None
    assert order[loose.outcome] >= order[strict.outcome]
    assert strict.p is not None
    assert (strict.outcome == "pass") == (strict.p <= 0.05 + 1e-12)
    assert (strict.outcome == "fail") <= (strict.p >= 0.95 - 1e-9)
