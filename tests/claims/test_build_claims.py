"""From rows to verdicts: a hand-computed example, the order of the rules, Holm, failed pairs."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from stabbench.claims.build import build_claims
from stabbench.claims.contrasts import primary_entries

BASELINE = [0.660, 0.640, 0.672, 0.655, 0.668, 0.650]
STABILIZED = [0.690, 0.671, 0.695, 0.688, 0.690, 0.682]


def only(claims, metric="accuracy"):
    (found,) = [claim for claim in claims if claim.metric == metric and claim.primary]
    return found


@pytest.fixture
def judge(make_suite, make_rows):
    """Judge `metric` from a value per seed and arm; `failed` are (baseline's, stabilized's) failed seeds."""

    def run(metric, baseline, stabilized, failed=((), ()), **compare):
        suite = make_suite(seeds=len(baseline), compare={"primary": [metric], **compare})
        rows = make_rows(metric, "baseline", baseline) + make_rows(metric, "stabilized", stabilized)
        if metric != "train.failed":
            for variant, seeds in zip(("baseline", "stabilized"), failed, strict=True):
                rows += make_rows("train.failed", variant, [float(i in seeds) for i in range(len(baseline))])
        return only(build_claims(rows, suite), metric)

    return run


def test_a_hand_computed_example(judge) -> None:
    claim = judge("accuracy", BASELINE, STABILIZED)

    # Differences .030 .031 .023 .033 .022 .032: mean .0285, s .0047645, t₅ = 14.652.
    assert claim.effect == pytest.approx(0.0285)
    assert claim.interval == pytest.approx((0.0235, 0.0335), abs=1e-6)
    assert claim.p == pytest.approx(2.68e-5, rel=0.01)
    assert claim.reference_value == pytest.approx(3.945 / 6)
    assert claim.candidate_value == pytest.approx(4.116 / 6)
    assert (claim.verdict, claim.n_seeds, claim.n_used, claim.n_planned) == ("improved", 6, 6, 6)
    assert (claim.level, claim.margin, claim.test) == (0.95, 0.01, "paired t")
    assert "sign-flip permutation p = 0.0312 (floor 0.031)" in claim.reason


def test_a_worse_candidate_regressed(judge) -> None:
    assert judge("accuracy", STABILIZED, BASELINE).verdict == "regressed"


def test_equivalent_goes_before_improved(judge) -> None:
    claim = judge("accuracy", BASELINE, [x + 0.004 + 0.0005 * (-1) ** i for i, x in enumerate(BASELINE)])

    assert claim.interval[0] > 0
    assert claim.p < 0.05
    assert claim.verdict == "equivalent"


def test_a_margin_of_the_suite_replaces_the_default(judge) -> None:
    claim = judge("accuracy", BASELINE, STABILIZED, margins={"accuracy": 0.05})

    assert (claim.verdict, claim.margin) == ("equivalent", 0.05)


def test_a_wide_interval_is_inconclusive(judge) -> None:
    claim = judge("accuracy", BASELINE, [0.70, 0.60, 0.72, 0.60, 0.70, 0.64])

    assert claim.verdict == "inconclusive"
    assert "holds 0" in claim.reason


def test_identical_arms_are_equivalent(judge) -> None:
    claim = judge("accuracy", BASELINE, BASELINE)

    assert (claim.verdict, claim.effect, claim.p) == ("equivalent", 0.0, 1.0)


def test_a_missing_cell_makes_the_claim_incomplete_and_shows_n(judge) -> None:
    claim = judge("accuracy", BASELINE, [*STABILIZED[:5], None])

    assert (claim.verdict, claim.n_used, claim.n_planned) == ("incomplete", 5, 6)
    assert claim.effect == pytest.approx(np.mean(np.subtract(STABILIZED, BASELINE)[:5]))
    assert claim.reference_value == pytest.approx(np.mean(BASELINE))


def test_nothing_measured_is_incomplete_not_a_crash(make_suite) -> None:
    claim = only(build_claims([], make_suite()))

    assert (claim.verdict, claim.n_used, claim.effect, claim.p) == ("incomplete", 0, None, None)


def test_one_seed_is_inconclusive(judge) -> None:
    claim = judge("accuracy", [0.6], [0.9])

    assert (claim.verdict, claim.interval, claim.p) == ("inconclusive", None, None)
    assert claim.effect == pytest.approx(0.3)
    assert "one seed" in claim.reason


def test_one_seed_of_robustness_is_inconclusive(judge) -> None:
    assert judge("noise.accuracy", [0.6], [0.9]).verdict == "inconclusive"


def test_a_value_that_is_not_finite_is_counted_not_dropped(judge) -> None:
    claim = judge("accuracy", BASELINE, [math.nan, *STABILIZED[1:]])

    assert (claim.verdict, claim.effect, claim.n_used) == ("inconclusive", None, 6)
    assert "1 of 6 differences not finite" in claim.reason
    assert math.isnan(claim.candidate_value)


def test_failed_pairs_count_for_accuracy(judge) -> None:
    claim = judge("accuracy", BASELINE, STABILIZED, failed=((1,), ()))

    assert claim.n_used == 6


@pytest.mark.parametrize("metric", ["noise.accuracy", "noise.worst_case"])
def test_failed_pairs_are_left_out_for_robustness(judge, metric: str) -> None:
    claim = judge(metric, BASELINE, STABILIZED, failed=((1,), (4,)))

    used = [0, 2, 3, 5]
    assert (claim.n_used, claim.n_planned) == (4, 6)
    assert claim.effect == pytest.approx(np.mean(np.subtract(STABILIZED, BASELINE)[used]))
    assert claim.reference_value == pytest.approx(np.mean(BASELINE))
    assert "seed 1, 4" in claim.reason


def test_fewer_than_three_pairs_without_a_failed_run_collapse(judge) -> None:
    claim = judge("noise.accuracy", BASELINE, STABILIZED, failed=((0, 1, 2), (3,)))

    assert (claim.verdict, claim.p, claim.interval, claim.n_used) == ("not comparable", None, None, 2)
    assert claim.reason.startswith("collapsed")


def test_collapse_goes_before_missing_cells(judge) -> None:
    claim = judge("noise.accuracy", BASELINE, [*STABILIZED[:5], None], failed=((0, 1, 2, 3), ()))

    assert claim.verdict == "not comparable"


def test_missing_cells_beside_a_failed_run_are_incomplete(judge) -> None:
    claim = judge("noise.accuracy", BASELINE, [*STABILIZED[:5], None], failed=((0,), ()))

    assert (claim.verdict, claim.n_used) == ("incomplete", 4)


def test_a_lower_value_of_a_lower_is_better_metric_improved(judge) -> None:
    claim = judge("noise.flip_rate", [0.30, 0.31, 0.29, 0.32], [0.2, 0.22, 0.18, 0.23])

    assert claim.effect < 0
    assert claim.verdict == "improved"


@pytest.mark.parametrize(
    ("baseline", "stabilized", "verdict"),
    [([1] * 6, [0] * 6, "improved"), ([0] * 6, [1] * 6, "regressed"), ([1, 1, 0, 0, 0, 0], [0] * 6, "inconclusive")],
)
def test_failed_runs_are_decided_by_boschloo_and_newcombe(judge, baseline, stabilized, verdict: str) -> None:
    claim = judge("train.failed", [float(x) for x in baseline], [float(x) for x in stabilized])

    assert (claim.verdict, claim.test) == (verdict, "Boschloo")
    assert claim.effect == pytest.approx((sum(stabilized) - sum(baseline)) / 6)
    assert "McNemar" in claim.reason
    assert "Clopper-Pearson" in claim.reason


def test_no_failures_in_many_runs_are_equivalent_and_in_few_are_not(judge) -> None:
    assert judge("train.failed", [0.0] * 25, [0.0] * 25).verdict == "equivalent"
    assert judge("train.failed", [0.0] * 6, [0.0] * 6).verdict == "inconclusive"


def test_a_test_and_an_interval_that_disagree_decide_nothing(judge) -> None:
    # 8/20 against 2/20 … 3/20: one of the tables near the border where p and Newcombe part.
    for k in range(21):
        for other in range(k):
            claim = judge("train.failed", [float(i < k) for i in range(20)], [float(i < other) for i in range(20)])
            agree = claim.p < 0.05 and claim.interval[1] < 0

            assert (claim.verdict == "improved") == agree


def test_spread_below_five_seeds_is_inconclusive_and_says_how_many_would_do(make_suite, make_rows) -> None:
    suite = make_suite(seeds=4, compare={"primary": ["seeds.sd"]})
    rows = make_rows("accuracy", "baseline", [0.5, 0.7, 0.6, 0.8])
    rows += make_rows("accuracy", "stabilized", [0.70, 0.71, 0.69, 0.70])

    claim = only(build_claims(rows, suite), "seeds.sd")

    assert (claim.verdict, claim.p, claim.interval) == ("inconclusive", None, None)
    assert "would settle" in claim.reason


def test_a_much_smaller_spread_improved(make_suite, make_rows) -> None:
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(0.7, 0.05, 20).tolist(), rng.normal(0.7, 0.01, 20).tolist()
    suite = make_suite(seeds=20, compare={"primary": ["seeds.sd"]})

    claim = only(
        build_claims(make_rows("accuracy", "baseline", wide) + make_rows("accuracy", "stabilized", narrow), suite),
        "seeds.sd",
    )

    assert claim.verdict == "improved"
    assert claim.effect == pytest.approx(math.log(np.std(narrow, ddof=1) / np.std(wide, ddof=1)))
    assert claim.p == pytest.approx(stats.levene(wide, narrow, center="median").pvalue)


def test_primary_claims_over_all_candidates_share_one_holm_family(make_suite, make_rows) -> None:
    names = ("a", "b", "c")
    suite = make_suite(variants={"baseline": {}} | {name: {} for name in names}, compare={"primary": ["accuracy"]})
    rng = np.random.default_rng(12)
    rows = make_rows("accuracy", "baseline", BASELINE)
    arms = {
        name: (np.array(BASELINE) + rng.normal(shift, 0.02, 6)).tolist()
        for name, shift in zip(names, (0.1, 0.03, 0.02), strict=True)
    }
    for name, values in arms.items():
        rows += make_rows("accuracy", name, values)

    claims = [claim for claim in build_claims(rows, suite) if claim.primary]

    p_values = [stats.ttest_rel(arms[name], BASELINE).pvalue for name in names]
    assert [claim.p for claim in claims] == pytest.approx(p_values)
    decided = multipletests(p_values, 0.05, "holm")[0]
    assert [claim.verdict in ("improved", "regressed") for claim in claims] == decided.tolist()
    for claim, name in zip(claims, names, strict=True):
        interval = stats.ttest_rel(arms[name], BASELINE).confidence_interval(claim.level)
        assert claim.interval == pytest.approx((interval.low, interval.high))
    assert min(1 - claim.level for claim in claims) == pytest.approx(0.05 / 3)


def test_an_incomplete_claim_does_not_ease_the_level_of_the_others(make_suite, make_rows) -> None:
    suite = make_suite(compare={"primary": ["accuracy", "noise.accuracy"]})
    rows = make_rows("accuracy", "baseline", BASELINE)
    rows += make_rows("accuracy", "stabilized", [x + d for x, d in zip(BASELINE, (4, 1, 7, 0, 6, 1), strict=True)])
    rows += make_rows("noise.accuracy", "baseline", BASELINE)
    rows += make_rows("noise.accuracy", "stabilized", [*STABILIZED[:5], None])

    accuracy, noise = (claim for claim in build_claims(rows, suite) if claim.primary)

    assert noise.verdict == "incomplete"
    assert noise.p < 0.001 < 0.025 < accuracy.p < 0.05
    assert (accuracy.verdict, accuracy.level) == ("inconclusive", pytest.approx(0.975))


def test_secondary_claims_are_unadjusted_and_marked(make_suite, make_rows) -> None:
    suite = make_suite(compressions=["ort-int8"], compare={"primary": ["accuracy", "train.failed"]})
    rows = []
    for variant, values in (("baseline", BASELINE), ("stabilized", STABILIZED)):
        rows += make_rows("accuracy", variant, values)
        rows += make_rows("train.failed", variant, [0.0] * 6)
        rows += make_rows(
            "accuracy", variant, [x - 0.01 - 0.001 * i for i, x in enumerate(values)], compression="ort-int8"
        )
        rows += make_rows("attack.accuracy_under_attack", variant, values, at={"recipe": "deepwordbug"})
        rows += make_rows("noise.accuracy", variant, values, at={"kind": "keyboard", "severity": 1})
        rows += make_rows("noise.accuracy", variant, values)

    claims = build_claims(rows, suite)

    secondary = {claim.id: claim for claim in claims if not claim.primary}
    assert {claim.level for claim in secondary.values()} == {0.95}
    assert [claim.primary for claim in claims] == sorted((claim.primary for claim in claims), reverse=True)
    assert len({claim.id for claim in claims}) == len(claims)
    assert set(secondary) == {
        "accuracy:stabilized@ort-int8:baseline@ort-int8",
        "accuracy:baseline@ort-int8:baseline@dense",
        "accuracy:stabilized@ort-int8:stabilized@dense",
        "accuracy{change_from=dense}:stabilized@ort-int8:baseline@ort-int8",
        "seeds.sd:stabilized@dense:baseline@dense",
        "noise.accuracy:stabilized@dense:baseline@dense",
        "attack.accuracy_under_attack{recipe=deepwordbug}:stabilized@dense:baseline@dense",
    }


def test_accuracy_of_compressed_models_leaves_failed_pairs_out(make_suite, make_rows) -> None:
    suite = make_suite(
        compressions=[["prune", "ort-int8"]],
        compare={"primary": [{"metric": "accuracy", "compression": "prune+ort-int8"}]},
    )
    rows = make_rows("accuracy", "baseline", BASELINE, compression="prune+ort-int8")
    rows += make_rows("accuracy", "stabilized", STABILIZED, compression="prune+ort-int8")
    rows += make_rows("train.failed", "baseline", [0, 0, 1, 0, 0, 0]) + make_rows("train.failed", "stabilized", [0] * 6)

    claim = only(build_claims(rows, suite))

    assert (claim.n_used, claim.candidate) == (5, ("stabilized", "prune+ort-int8"))


def test_a_metric_with_several_coordinates_needs_one_named(make_suite, make_rows) -> None:
    suite = make_suite(compare={"primary": ["attack.accuracy_under_attack"]})
    rows = []
    for recipe in ("deepwordbug", "pwws"):
        rows += make_rows("attack.accuracy_under_attack", "baseline", BASELINE, at={"recipe": recipe})
        rows += make_rows("attack.accuracy_under_attack", "stabilized", STABILIZED, at={"recipe": recipe})

    claim = only(build_claims(rows, suite), "attack.accuracy_under_attack")

    assert claim.verdict == "not comparable"
    assert '"recipe": "pwws"' in claim.reason


def test_the_only_coordinate_is_found(make_suite, make_rows) -> None:
    suite = make_suite(compare={"primary": ["attack.accuracy_under_attack"]})
    rows = make_rows("attack.accuracy_under_attack", "baseline", BASELINE, at={"recipe": "pwws"})
    rows += make_rows("attack.accuracy_under_attack", "stabilized", STABILIZED, at={"recipe": "pwws"})

    claim = only(build_claims(rows, suite), "attack.accuracy_under_attack")

    assert (claim.at, claim.n_used) == ({"recipe": "pwws"}, 6)


@pytest.mark.parametrize(
    ("probes", "expected"),
    [
        ({"accuracy": {}}, ["accuracy", "train.failed"]),
        ({"noise": {}, "attack": {}}, ["accuracy", "train.failed", "noise.mce"]),
        ({"attack": {"recipes": ["pwws"]}}, ["accuracy", "train.failed", "attack.accuracy_under_attack"]),
    ],
)
def test_default_primary_claims_take_one_robustness_metric(make_suite, probes, expected) -> None:
    assert [entry.metric for entry in primary_entries(make_suite(probes=probes, compare={}))] == expected


def test_crossed_seeds_are_not_taken_for_independent_pairs(make_suite, make_rows) -> None:
    suite = make_suite(seeds={"init": 2, "order": 2})

    claim = only(build_claims([], suite))

    assert (claim.n_planned, claim.p, claim.interval) == (4, None, None)


def test_one_variant_has_no_claim_between_variants(make_suite, make_rows) -> None:
    assert build_claims(make_rows("accuracy", "baseline", BASELINE), make_suite(variants={"baseline": {}})) == []
