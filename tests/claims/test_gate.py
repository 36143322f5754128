"""Rules on measurements: what passes, what fails, what stays open, and what none of these words may hide."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from scipy import stats

from stabbench.claims.build import build_claims
from stabbench.claims.gate import PRECEDENCE, default_rules, evaluate, exit_code
from stabbench.claims.gate_words import gate_sentence, rule_text
from stabbench.suite.schema import GateRule

BASE = [0.80, 0.82, 0.79, 0.81, 0.80, 0.83]
PLACE = {"batch": 1, "length": 32}
KEYS = {"rule", "claim", "outcome", "reason", "effect", "interval", "bound", "p"}


def rule(**content) -> GateRule:
    return GateRule.model_validate({"claim": "accuracy", **content})


@pytest.fixture
def accuracy(make_suite, make_rows):
    """Decide rules on six seeds of accuracy in two arms."""

    def decide(second, *rules, suite=None, unmatched=None, extra=()):
        rows = [*make_rows("accuracy", "baseline", BASE), *make_rows("accuracy", "stabilized", second), *extra]
        return evaluate(rules, rows, suite or make_suite(), unmatched or {})

    return decide


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ([0.001, -0.002, 0.0, 0.003, -0.001, 0.001], "pass"),
        ([-0.10, -0.12, -0.09, -0.11, -0.10, -0.13], "fail"),
        ([0.03, -0.04, 0.02, -0.03, 0.01, -0.02], "undecided"),
    ],
)
def test_not_worse_by_is_non_inferiority_at_one_sided_95(accuracy, change, outcome) -> None:
    (found,) = accuracy([b + c for b, c in zip(BASE, change, strict=True)], rule(not_worse_by=0.01))

    assert found.outcome == outcome
    assert found.p == pytest.approx(stats.ttest_1samp(change, -0.01, alternative="greater").pvalue, abs=1e-6)
    assert found.bound == -0.01
    assert found.interval is not None
    half = stats.t.ppf(0.95, 5) * np.std(change, ddof=1) / math.sqrt(6)
    assert found.interval == (pytest.approx(np.mean(change) - half, abs=1e-12), None)
    assert found.claim == "accuracy:stabilized@dense:baseline@dense"


def test_the_item_has_the_contracts_form(accuracy, make_suite, make_rows) -> None:
    written = {"claim": "accuracy", "not_worse_by": 0.01, "candidate": "stabilized"}
    (found,) = accuracy(BASE, rule(**written))
    content = json.loads(json.dumps(found.as_dict(), allow_nan=False))

    assert set(content) == KEYS
    assert content["rule"] == written
    assert content["interval"] == [0.0, None]
    assert content["outcome"] == "pass"
    rows = [*make_rows("accuracy", "baseline", BASE), *make_rows("accuracy", "stabilized", BASE)]
    assert content["claim"] in {claim.id for claim in build_claims(rows, make_suite())}


def test_a_metric_whose_lower_is_better_is_bounded_from_above(make_suite, make_rows) -> None:
    suite = make_suite(probes={"accuracy": {}, "noise": {}})
    rng = np.random.default_rng(1)
    ratios = 1 + 0.01 * rng.normal(size=6)
    rows = [
        *make_rows("noise.mce", "baseline", [1.0] * 6, better="lower"),
        *make_rows("noise.mce", "stabilized", list(ratios), better="lower"),
    ]

    (found,) = evaluate([GateRule(claim="noise.mce", not_worse_by=0.05)], rows, suite, {})

    assert found.bound == pytest.approx(math.log(1.05))
    assert found.interval is not None
    assert found.interval[0] is None
    oracle = stats.ttest_1samp(np.log(ratios), math.log(1.05), alternative="less").pvalue
    assert found.p == pytest.approx(oracle, abs=1e-9)
    assert found.outcome == "pass"


@pytest.mark.parametrize(
    ("k", "outcome", "said"),
    [(0, "undecided", "with no failed run at all it takes 25 seeds"), (6, "fail", "at best")],
)
def test_failed_runs_of_few_seeds_are_not_a_pass(make_suite, make_rows, k, outcome, said) -> None:
    rows = [
        *make_rows("train.failed", "baseline", [0.0] * 6, better="lower"),
        *make_rows("train.failed", "stabilized", [1.0] * k + [0.0] * (6 - k), better="lower"),
    ]

    (found,) = evaluate([GateRule(claim="train.failed", not_worse_by=0.10)], rows, make_suite(), {})

    assert found.outcome == outcome
    assert said in found.reason


@pytest.mark.parametrize(("seeds", "outcome"), [(24, "undecided"), (25, "pass")])
def test_the_number_of_seeds_that_it_names_is_the_first_that_passes(make_suite, make_rows, seeds, outcome) -> None:
    rows = [r for v in ("baseline", "stabilized") for r in make_rows("train.failed", v, [0.0] * seeds)]

    (found,) = evaluate([GateRule(claim="train.failed", max_increase=0.10)], rows, make_suite(seeds=seeds), {})

    assert found.outcome == outcome


def test_at_least_and_at_most_bound_the_candidates_own_mean(accuracy) -> None:
    values = [0.80, 0.82, 0.79, 0.81, 0.80, 0.83]
    half = stats.t.ppf(0.95, 5) * np.std(values, ddof=1) / math.sqrt(6)

    low, high, between = accuracy(values, rule(at_least=0.75), rule(at_most=0.75), rule(at_least=0.805))

    assert (low.outcome, high.outcome, between.outcome) == ("pass", "fail", "undecided")
    assert low.interval == (pytest.approx(np.mean(values) - half), None)
    assert high.interval == (None, pytest.approx(np.mean(values) + half))
    assert (low.bound, low.effect) == (0.75, pytest.approx(np.mean(values)))


def test_a_value_on_a_log_scale_is_shown_as_itself(make_suite, make_rows) -> None:
    values = [10.0, 11.0, 9.5, 10.2, 10.4, 9.9]
    rows = make_rows("train.seconds", "stabilized", values, better="lower")

    (found,) = evaluate([GateRule(claim="train.seconds", at_most=12.0)], rows, make_suite(), {})

    half = stats.t.ppf(0.95, 5) * np.std(np.log(values), ddof=1) / math.sqrt(6)
    assert found.outcome == "pass"
    assert found.effect == pytest.approx(stats.gmean(values))
    assert found.interval == (None, pytest.approx(math.exp(np.mean(np.log(values)) + half)))
    assert found.bound == 12.0


def test_a_rate_of_failed_runs_at_most_is_exact(make_suite, make_rows) -> None:
    rows = make_rows("train.failed", "stabilized", [0.0] * 6)

    loose, tight = evaluate(
        [GateRule(claim="train.failed", at_most=0.4), GateRule(claim="train.failed", at_most=0.3)],
        rows,
        make_suite(),
        {},
    )

    assert loose.interval == (None, pytest.approx(1 - 0.05 ** (1 / 6)))
    assert (loose.outcome, tight.outcome) == ("pass", "undecided")
    assert "it takes 9 seeds" in tight.reason
    assert 1 - 0.05 ** (1 / 9) <= 0.3 < 1 - 0.05 ** (1 / 8)


def test_latency_is_held_against_the_reference_as_a_ratio(make_suite, make_latency) -> None:
    suite = make_suite(probes={"accuracy": {}, "latency": {}})
    reference, slower = [0.010, 0.0102, 0.0099, 0.0101], [0.0121, 0.0124, 0.0118, 0.0122]
    rows = make_latency(
        {("baseline", "dense"): reference, ("stabilized", "dense"): slower}, replicate=[1.0, 1.01, 0.99, 1.0]
    )
    logs = np.log(slower) - np.log(reference)
    half = stats.t.ppf(0.95, 3) * np.std(logs, ddof=1) / 2

    at_most, not_worse = evaluate(
        [
            GateRule(claim="latency.ratio", at=PLACE, at_most=1.10),
            GateRule(claim="latency.p50", at=PLACE, not_worse_by=0.30),
        ],
        rows,
        suite,
        {},
    )

    assert at_most.outcome == "fail"
    assert at_most.interval == (None, pytest.approx(math.exp(logs.mean() + half)))
    assert at_most.bound == 1.10
    assert not_worse.outcome == "pass"
    assert not_worse.interval == (None, pytest.approx(logs.mean() + half))
    assert "processes" in not_worse.reason


def test_a_disturbed_machine_makes_a_latency_rule_not_comparable(make_suite, make_latency) -> None:
    suite = make_suite(probes={"accuracy": {}, "latency": {}})
    rows = make_latency(
        {("baseline", "dense"): [0.01] * 3, ("stabilized", "dense"): [0.02] * 3}, contaminated=0.5, replicate=[1.0] * 3
    )

    (found,) = evaluate([GateRule(claim="latency.ratio", at=PLACE, at_most=1.10)], rows, suite, {})

    assert found.outcome == "not comparable"
    assert found.interval is None
    assert "contaminated" in found.reason


def test_missing_seeds_are_incomplete_but_a_shown_regression_is_a_failure(accuracy) -> None:
    fine = accuracy([*BASE[:4], None, None], rule(not_worse_by=0.01))
    worse = accuracy([b - d for b, d in zip(BASE[:4], (0.1, 0.12, 0.11, 0.1), strict=True)], rule(not_worse_by=0.01))

    assert [entry.outcome for entry in fine] == ["incomplete"]
    assert "2 of 6 seed pairs were not measured" in fine[0].reason
    assert [entry.outcome for entry in worse] == ["fail"]
    assert "2 of 6 seed pairs were not measured" in worse[0].reason


def test_unmatched_trials_are_not_compared_but_values_of_their_own_are(accuracy) -> None:
    pair, own = accuracy(BASE, rule(not_worse_by=0.01), rule(at_least=0.5), unmatched={"stabilized": "init differs"})

    assert pair.outcome == "not comparable"
    assert "unmatched trials: init differs" in pair.reason
    assert own.outcome == "pass"


def test_one_seed_and_equal_differences_are_undecided_with_their_reason(make_suite, make_rows) -> None:
    one = [*make_rows("accuracy", "baseline", [0.8]), *make_rows("accuracy", "stabilized", [0.8])]
    equal = [*make_rows("accuracy", "baseline", BASE), *make_rows("accuracy", "stabilized", [b - 0.2 for b in BASE])]

    (first,) = evaluate([rule(not_worse_by=0.01)], one, make_suite(seeds=1), {})
    (second,) = evaluate([rule(not_worse_by=0.01)], equal, make_suite(), {})

    assert (first.outcome, second.outcome) == ("undecided", "undecided")
    assert "one seed" in first.reason
    assert "all 6 differences are equal" in second.reason


def test_sizes_on_disk_are_exact_and_need_no_interval(make_suite, make_rows) -> None:
    suite = make_suite(compressions=["int8-dynamic"])
    rows = [
        *make_rows("compression.size", "baseline", [4e7] * 6, compression="int8-dynamic", better="lower"),
        *make_rows("compression.size", "stabilized", [5e7] * 6, compression="int8-dynamic", better="lower"),
    ]
    small = {"claim": "compression.size", "compression": "int8-dynamic"}

    found = evaluate(
        [GateRule.model_validate({**small, **test}) for test in ({"at_most": 6e7}, {"not_worse_by": 0.1})],
        rows,
        suite,
        {},
    )

    assert [entry.outcome for entry in found] == ["pass", "fail"]


def test_robustness_leaves_failed_runs_out_and_says_when_too_few_are_left(make_suite, make_rows) -> None:
    suite = make_suite(probes={"accuracy": {}, "noise": {}})
    values = {"baseline": [0.6, 0.61, 0.59, 0.6, 0.62, 0.6], "stabilized": [0.61, 0.6, 0.6, 0.61, 0.6, 0.6]}
    noise = [row for v, numbers in values.items() for row in make_rows("noise.accuracy", v, numbers)]

    def decided(failures: int):
        failed = make_rows("train.failed", "stabilized", [1.0] * failures + [0.0] * (6 - failures))
        rules = [GateRule(claim="noise.accuracy", not_worse_by=0.1), GateRule(claim="noise.accuracy", at_least=0.5)]
        return evaluate(rules, [*noise, *failed], suite, {})

    assert [entry.outcome for entry in decided(2)] == ["pass", "pass"]
    assert "n = 4/6" in decided(2)[0].reason
    assert [entry.outcome for entry in decided(4)] == ["not comparable", "not comparable"]
    assert "collapsed" in decided(4)[1].reason


def test_crossed_seeds_are_undecided(make_suite, make_rows) -> None:
    suite = make_suite(seeds={"init": 2, "order": 2})
    rows = [*make_rows("accuracy", "baseline", BASE), *make_rows("accuracy", "stabilized", BASE)]

    found = evaluate([rule(not_worse_by=0.01), rule(at_least=0.5)], rows, suite, {})

    assert all(entry.outcome in ("undecided", "incomplete") for entry in found)


def test_a_known_issue_is_evaluated_and_shown_and_never_fails(accuracy) -> None:
    worse = [b - d for b, d in zip(BASE, (0.1, 0.12, 0.11, 0.1, 0.09, 0.1), strict=True)]
    (quarantined,) = accuracy(worse, rule(not_worse_by=0.01, known="tokenizer bug"))
    (healed,) = accuracy(BASE, rule(not_worse_by=0.01, known="tokenizer bug"))

    assert quarantined.outcome == "known"
    assert quarantined.p is not None
    assert "known issue: tokenizer bug; without it: fail" in quarantined.reason
    assert exit_code(0, [quarantined.outcome], "fail") == 0
    assert healed.outcome == "pass"
    assert "remove `known`" in healed.reason


def test_a_rule_without_a_candidate_is_asked_of_every_candidate(make_suite, make_rows) -> None:
    suite = make_suite(variants={"baseline": {}, "a": {}, "b": {}})
    rows = [row for variant in suite.variants for row in make_rows("accuracy", variant, BASE)]

    found = evaluate([rule(not_worse_by=0.01), rule(at_least=0.5, candidate="baseline")], rows, suite, {})

    assert [entry.claim for entry in found] == [
        "accuracy:a@dense:baseline@dense",
        "accuracy:b@dense:baseline@dense",
        None,
    ]


def test_within_a_run_the_reference_is_not_compared_with_itself(make_suite, make_rows) -> None:
    alone = make_suite(variants={"baseline": {}})
    rows = make_rows("accuracy", "baseline", BASE)

    assert evaluate([rule(not_worse_by=0.01), rule(not_worse_by=0.01, candidate="baseline")], rows, alone, {}) == []
    assert [entry.outcome for entry in evaluate([rule(at_least=0.5)], rows, alone, {})] == ["pass"]


def test_without_rules_each_primary_claim_is_asked_its_margin(make_suite) -> None:
    suite = make_suite(
        probes={"accuracy": {}, "noise": {}},
        compare={"primary": ["accuracy", "train.failed", "noise.mce"], "margins": {"accuracy": 0.03}},
    )

    assert [(entry.claim, entry.not_worse_by) for entry in default_rules(suite)] == [
        ("accuracy", 0.03),
        ("train.failed", 0.10),
        ("noise.mce", 0.05),
    ]


def test_of_two_runs_of_equal_models_no_outcome_is_a_failure(accuracy) -> None:
    """A/A: with noise of the size of the margin a pass may be missed, a failure is at most 5 % of cases."""
    rng = np.random.default_rng(11)
    outcomes = []
    for _ in range(200):
        second = [b + float(e) for b, e in zip(BASE, rng.normal(-0.01, 0.01, 6), strict=True)]
        outcomes += [entry.outcome for entry in accuracy(second, rule(not_worse_by=0.01))]

    # The true difference is the limit itself: each of the two errors has 5 %.
    assert outcomes.count("fail") <= 0.05 * 200 + 3 * math.sqrt(200 * 0.05 * 0.95)
    assert outcomes.count("pass") <= 0.05 * 200 + 3 * math.sqrt(200 * 0.05 * 0.95)


def test_the_exit_code_is_the_first_that_holds() -> None:
    codes = {"pass": 0, "known": 0, "fail": 1, "incomplete": 3, "not comparable": 4, "undecided": 5}
    for run_code in (0, 3, 130):
        for outcomes in itertools.chain.from_iterable(itertools.combinations(codes, n) for n in range(7)):
            for inconclusive in ("fail", "warn", "pass"):
                held = {run_code} | {codes[o] for o in outcomes if o != "undecided" or inconclusive == "fail"}
                expected = next((code for code in (130, 4, 1, 3, 5) if code in held), 0)
                assert exit_code(run_code, outcomes, inconclusive) == expected, (run_code, outcomes, inconclusive)
    assert PRECEDENCE == (2, 70, 130, 4, 1, 3, 5)


def test_rules_and_their_counts_in_words() -> None:
    written = rule(claim="attack.success_rate", at={"recipe": "deepwordbug"}, at_most=0.5, candidate="a").as_written()

    assert rule_text(written) == "attack success (deepwordbug) at most 0.5 (a)"
    assert gate_sentence([{"outcome": "pass"}, {"outcome": "fail"}, {"outcome": "pass"}]) == "1 failed, 2 passed"
    assert gate_sentence([]) == ""
