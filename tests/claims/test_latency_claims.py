"""Latency: the process is the unit, log ratios decide, and an unquiet machine is refused."""

import math

import numpy as np
import pytest
from scipy import stats

from stabbench.claims.build import build_claims
from stabbench.records import Row

DENSE = [0.0200, 0.0203, 0.0199, 0.0201, 0.0204, 0.0198]
INT8 = [0.0101, 0.0102, 0.0098, 0.0102, 0.0101, 0.0100]
GROUP = {("baseline", "dense"): DENSE, ("stabilized", "dense"): [x * 1.001 for x in DENSE[::-1]]}


def latency_claims(rows: list[Row], suite):
    return {claim.id.split(":", 1)[1]: claim for claim in build_claims(rows, suite) if claim.metric == "latency.ratio"}


def test_the_effect_is_the_mean_log_ratio_over_processes(make_suite, make_latency) -> None:
    rows = make_latency(GROUP | {("baseline", "int8"): INT8}, [1.001, 0.999, 1.002, 1.0, 0.998, 1.001])
    claim = latency_claims(rows, make_suite(compressions=["int8"]))["baseline@int8:baseline@dense"]

    expected = stats.ttest_rel(np.log(INT8), np.log(DENSE))
    assert claim.effect == pytest.approx(np.mean(np.log(np.array(INT8) / DENSE)))
    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert claim.candidate_value == pytest.approx(stats.gmean(np.array(INT8) / DENSE))
    assert (claim.verdict, claim.reference_value, claim.margin) == ("improved", 1.0, pytest.approx(math.log(1.05)))
    assert (claim.n_seeds, claim.n_used, claim.n_planned) == (None, 6, 6)
    assert claim.at == {"batch": 1, "length": 32}


def test_arms_of_one_shape_are_equivalent(make_suite, make_latency) -> None:
    claim = latency_claims(make_latency(GROUP), make_suite())["stabilized@dense:baseline@dense"]

    assert claim.verdict == "equivalent"


def test_a_contaminated_measurement_is_refused(make_suite, make_latency) -> None:
    claim = latency_claims(make_latency(GROUP, contaminated=0.11), make_suite())["stabilized@dense:baseline@dense"]

    assert (claim.verdict, claim.p, claim.interval) == ("not comparable", None, None)
    assert claim.reason.startswith("contaminated")


@pytest.mark.parametrize("ratio", [1.08, 1 / 1.08])
def test_a_replicate_that_differs_from_itself_refuses_the_claim(make_suite, make_latency, ratio: float) -> None:
    claim = latency_claims(make_latency(GROUP, [ratio] * 6), make_suite())["stabilized@dense:baseline@dense"]

    assert claim.verdict == "not comparable"
    assert "A/A replicate" in claim.reason


def test_a_replicate_that_is_off_in_every_process_alike_refuses_the_claim_below_the_margin_too(
    make_suite, make_latency
) -> None:
    steady = [1.03, 1.031, 1.029, 1.03, 1.032, 1.028]
    claim = latency_claims(make_latency(GROUP, steady), make_suite())["stabilized@dense:baseline@dense"]
    scattered = [0.96, 1.05, 1.03, 0.97, 1.06, 1.04]
    other = latency_claims(make_latency(GROUP, scattered), make_suite())["stabilized@dense:baseline@dense"]

    assert (claim.verdict, other.verdict) == ("not comparable", "equivalent")
    assert "in every process alike" in claim.reason


def test_what_nobody_watched_is_said(make_suite, make_latency) -> None:
    rows = [r for r in make_latency(GROUP) if r.measurement.metric not in ("latency.contaminated", "latency.aa_ratio")]
    claim = latency_claims(rows, make_suite())["stabilized@dense:baseline@dense"]

    assert claim.verdict == "equivalent"
    assert "degraded: this system does not tell" in claim.reason
    assert "no A/A replicate" in claim.reason


def test_a_cold_start_is_claimed_like_any_other_latency(make_suite, make_latency) -> None:
    slower = {("baseline", "dense"): DENSE, ("stabilized", "dense"): [1.3 * x for x in DENSE[::-1]]}
    claim = latency_claims(make_latency(slower, at={"scenario": "cold"}), make_suite())[
        "stabilized@dense:baseline@dense"
    ]

    assert (claim.verdict, claim.at) == ("regressed", {"scenario": "cold"})


def test_over_many_panels_equal_arms_are_never_far_apart_and_15_percent_is_found(make_suite, make_latency) -> None:
    """Twelve processes, 3 % between processes: as measured on a quiet machine."""
    rng = np.random.default_rng(0)
    found = {1.0: [], 1.15: []}
    for factor, verdicts in found.items():
        for _ in range(40):
            first, second, third = (0.02 * np.exp(rng.normal(0, 0.03, 12)) for _ in range(3))
            group = {("baseline", "dense"): first.tolist(), ("stabilized", "dense"): (factor * second).tolist()}
            rows = make_latency(group, (third / first).tolist())
            verdicts.append(latency_claims(rows, make_suite())["stabilized@dense:baseline@dense"].verdict)

    # 5 % of 40 is 2; P(more than 5) < 2 % for a test that keeps its level.
    assert sum(verdict in ("improved", "regressed") for verdict in found[1.0]) <= 5
    assert found[1.15].count("regressed") >= 36


def test_a_process_that_timed_only_one_subject_is_incomplete(make_suite, make_latency) -> None:
    rows = make_latency(GROUP | {("stabilized", "dense"): [*DENSE[:5], None]})
    claim = latency_claims(rows, make_suite())["stabilized@dense:baseline@dense"]

    assert (claim.verdict, claim.n_used, claim.n_planned) == ("incomplete", 5, 6)


def test_latency_can_be_primary_under_either_name(make_suite, make_latency) -> None:
    entry = {"metric": "latency.p50", "at": {"batch": 1, "length": 32}}
    claims = build_claims(make_latency(GROUP), make_suite(compare={"primary": [entry]}))

    (claim,) = [claim for claim in claims if claim.primary]
    assert (claim.metric, claim.n_used) == ("latency.ratio", 6)
