"""Claims of adaptive seeds: levels of the look, what stops, what the reader is told; against NumPy and the design."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stabbench.claims.build import build_claims
from stabbench.claims.derive import derive
from stabbench.claims.gate import evaluate
from stabbench.claims.looks import as_run, at_look, ending, look_of
from stabbench.claims.text import summary
from stabbench.statistics.sequential import Design, chance_of_decision
from stabbench.suite.schema import GateRule

ADAPTIVE = {"min": 6, "max": 25, "until": "accuracy"}
DESIGN = Design((6, 9, 13, 18, 25))
NOISE = np.random.default_rng(3).normal(0, 0.02, 25)
NOISE -= NOISE.mean()


@pytest.fixture
def judge(make_suite, make_rows):
    """Claims after `seeds` seeds whose accuracies differ by `effect` on average."""

    def run(seeds, effect, primary=("accuracy",), failed=(), margins=None, noise=NOISE):
        suite = make_suite(seeds=ADAPTIVE, compare={"primary": list(primary), "margins": margins or {}})
        gains = effect + noise[:seeds] - noise[:seeds].mean()
        rows = make_rows("accuracy", "baseline", [0.6] * seeds)
        rows += make_rows("accuracy", "stabilized", list(0.6 + gains))
        rows += make_rows("train.failed", "baseline", [float(i in failed) for i in range(seeds)])
        rows += make_rows("train.failed", "stabilized", [0.0] * seeds)
        suite = at_look(suite, seeds)
        claims = build_claims(rows + derive(rows, {}, suite), suite)
        return look_of(suite), claims, gains

    return run


def only(claims, metric="accuracy"):
    (found,) = [claim for claim in claims if claim.primary and claim.metric == metric]
    return found


@pytest.mark.parametrize(("index", "seeds"), list(enumerate(DESIGN.looks)))
def test_the_claim_is_tested_and_shown_at_the_level_of_its_look(judge, index, seeds) -> None:
    _, claims, gains = judge(seeds, 0.012, margins={"accuracy": 0.0})

    claim = only(claims)
    level = DESIGN.level(index)
    expected = stats.ttest_1samp(gains, 0)
    assert claim.level == pytest.approx(1 - level)
    assert claim.interval == pytest.approx(tuple(expected.confidence_interval(1 - level)))
    assert claim.p == pytest.approx(expected.pvalue)
    assert (claim.verdict == "improved") == (expected.pvalue < level)
    assert (claim.n_used, claim.n_planned) == (seeds, seeds)


def test_a_p_that_a_fixed_test_would_take_does_not_decide_an_early_look(judge) -> None:
    look, claims, gains = judge(6, 0.04)

    assert stats.ttest_1samp(gains, 0).pvalue < 0.05
    assert only(claims).verdict == "inconclusive"
    assert ending(look, claims)[0] == "open"


def test_a_large_effect_is_decided_and_says_what_it_saved(judge) -> None:
    look, claims, _ = judge(9, 0.06)

    claim = only(claims)
    assert claim.verdict == "improved"
    assert "look 2 of 5, 9 of at most 25 seeds: tested at 0.001 of 0.05; 64 % of the trials saved" in claim.reason
    assert ending(look, claims) == (
        "decided",
        "stopped at look 2 of 5: 9 of 25 seeds, 64 % of the trials saved: accuracy improved",
    )


def test_the_chance_of_a_decision_counts_equivalence_too(judge) -> None:
    look, claims, gains = judge(18, 0.0)

    claim = only(claims)
    expected = chance_of_decision(0.0, stats.sem(gains), 18, 25, DESIGN.level(4), 0.01, DESIGN.level(4, 0.10))
    assert claim.chance == pytest.approx(expected)
    assert claim.chance > DESIGN.futility
    assert ending(look, claims) == ("open", "look 4 of 5, 18 of at most 25 seeds: accuracy is not decided")


def test_pairs_that_a_failed_run_takes_out_are_expected_to_go_on_missing(make_suite, make_rows) -> None:
    suite = make_suite(seeds={**ADAPTIVE, "until": "noise.accuracy"}, compare={"primary": ["noise.accuracy"]})
    rows = make_rows("noise.accuracy", "baseline", [0.6] * 18)
    rows += make_rows("noise.accuracy", "stabilized", list(0.6 + 0.01 + NOISE[:18]))
    rows += make_rows("train.failed", "baseline", [float(i < 6) for i in range(18)])

    claim = only(build_claims(rows, suite), "noise.accuracy")

    used = 0.01 + NOISE[6:18]
    margin, last = 0.02, round(12 * 25 / 18)
    final = DESIGN.level(4), DESIGN.level(4, 0.10)
    expected = chance_of_decision(used.mean(), stats.sem(used), 12, last, final[0], margin, final[1])
    assert (claim.n_used, claim.n_planned) == (12, 18)
    assert claim.chance == pytest.approx(expected)


def test_without_a_margin_to_meet_no_effect_is_futile(judge) -> None:
    look, claims, gains = judge(18, 0.0, margins={"accuracy": 0.0})

    claim = only(claims)
    expected = chance_of_decision(0.0, stats.sem(gains), 18, 25, DESIGN.level(4), 0.0, DESIGN.level(4, 0.10))
    assert claim.chance == pytest.approx(expected)
    assert claim.chance < DESIGN.futility
    assert ending(look, claims)[0] == "futile"
    assert "so the looks stopped; 28 % of the trials saved" in claim.reason


def test_equivalence_needs_the_interval_of_the_look_not_that_of_90_percent(judge) -> None:
    _, _, gains = judge(6, 0.0)
    half = {level: stats.sem(gains) * stats.t.ppf(0.5 + level / 2, 5) for level in (0.90, 1 - DESIGN.level(0, 0.10))}
    between = sum(half.values()) / 2

    narrow = only(judge(6, 0.0, margins={"accuracy": between})[1])
    wide = only(judge(6, 0.0, margins={"accuracy": 1.01 * max(half.values())})[1])

    assert narrow.verdict == "inconclusive"
    assert wide.verdict == "equivalent"
    assert "the 99.921 % interval lies inside" in wide.reason
    assert "99.921 % CI inside ±" in summary([wide], {})


def test_the_last_look_ends_whatever_it_finds(judge) -> None:
    look, claims, _ = judge(25, 0.008, margins={"accuracy": 0.0})

    how, text = ending(look, claims)
    assert (how, look.is_last) == ("last look", True)
    assert text.startswith("all 25 seeds were run (look 5 of 5): accuracy")


def test_other_primary_claims_are_tested_at_the_same_look_with_holms_shares(judge) -> None:
    _, claims, _ = judge(9, 0.06, primary=("accuracy", "train.failed"), failed=range(8))

    accuracy, failures = only(claims), only(claims, "train.failed")
    # Accuracy has the smaller p and takes half of the error; what it decided passes on.
    assert accuracy.level == pytest.approx(1 - DESIGN.level(1, 0.025))
    assert failures.level == pytest.approx(1 - DESIGN.level(1, 0.05))
    assert (accuracy.verdict, failures.verdict) == ("improved", "improved")
    assert "since the claim on accuracy chose the number of seeds" in failures.reason


def test_secondary_claims_say_that_another_claim_chose_the_seeds(judge) -> None:
    _, claims, _ = judge(9, 0.06)

    secondary = [claim for claim in claims if not claim.primary and claim.n_seeds is not None]
    assert secondary
    assert all("the claim on accuracy chose the number of seeds; not adjusted" in claim.reason for claim in secondary)
    assert {claim.level for claim in secondary} == {0.95}


def test_missing_pairs_block_the_look(judge, make_rows, make_suite) -> None:
    suite = at_look(make_suite(seeds=ADAPTIVE), 9)
    rows = make_rows("accuracy", "baseline", [0.6] * 9) + make_rows("accuracy", "stabilized", [0.7] * 6)

    claims = build_claims(rows, suite)

    assert only(claims).verdict == "incomplete"
    assert ending(look_of(suite), claims)[0] == "blocked"


def test_equal_differences_have_no_interval_and_go_on(judge) -> None:
    look, claims, _ = judge(6, 0.05, noise=np.zeros(25))

    assert (only(claims).verdict, only(claims).chance) == ("inconclusive", None)
    assert ending(look, claims)[0] == "open"


def test_the_look_is_told_from_the_rows_where_nothing_says_it(judge, make_suite, make_rows) -> None:
    """A stored run has its rows and its suite: they alone must give the claims again."""
    suite = make_suite(seeds=ADAPTIVE)
    rows = make_rows("accuracy", "baseline", [0.6] * 9)
    rows += make_rows("accuracy", "stabilized", list(0.66 + NOISE[:9]))

    assert as_run(suite, rows).seeds.count == 9
    assert as_run(suite, rows[:7]).seeds.count == 9
    assert as_run(suite, []).seeds.count == 6
    assert build_claims(rows, suite) == build_claims(rows, at_look(suite, 9))


def test_fixed_seeds_know_nothing_of_looks(make_suite, make_rows) -> None:
    suite = make_suite(seeds=6)

    claims = build_claims(make_rows("accuracy", "baseline", [0.6] * 6), suite)

    assert look_of(suite) is None
    assert not any("look" in claim.reason for claim in claims)


@pytest.mark.parametrize(
    ("level", "text"),
    [(0.95, "95"), (0.9833333, "98.3"), (0.975, "97.5"), (0.99894, "99.89"), (0.999937, "99.9937"), (0.995, "99.5")],
)
def test_a_coverage_is_never_rounded_up_to_certainty(level: float, text: str) -> None:
    from stabbench.claims.wording import percent_of

    assert percent_of(level) == text


@pytest.mark.parametrize(("index", "seeds"), list(enumerate(DESIGN.looks)))
def test_a_gate_rule_holds_its_bound_at_the_error_of_the_look(make_suite, make_rows, index, seeds) -> None:
    """A rule on a run whose number of seeds a claim chose: the lower t bound at the look's share of 5 % one-sided."""
    suite = make_suite(seeds=ADAPTIVE, compare={"primary": ["accuracy"]})
    gains = NOISE[:seeds]
    rows = make_rows("accuracy", "baseline", [0.6] * seeds) + make_rows("accuracy", "stabilized", list(0.6 + gains))

    (found,) = evaluate([GateRule(claim="accuracy", not_worse_by=0.02)], rows, suite, {})

    low, _ = stats.ttest_1samp(gains, 0).confidence_interval(1 - DESIGN.level(index, 0.10))
    assert found.interval == (pytest.approx(low), None)
    assert (found.outcome == "pass") == (low >= -0.02)
    assert found.p is None
    if index < 4:
        assert low < stats.ttest_1samp(gains, 0).confidence_interval(0.90)[0]
