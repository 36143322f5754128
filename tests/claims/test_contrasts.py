"""Contrasts between any two groups, and differences in differences, against NumPy and scipy on hand-made rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stabbench.claims.build import build_claims
from stabbench.claims.claim import Claim
from stabbench.claims.text import claim_line, summary
from stabbench.claims.wording import contrast_text, label
from stabbench.report.claims_table import claim_rows

INT8 = "int8-dynamic"
DENSE = {
    "baseline": np.array([0.660, 0.640, 0.672, 0.655, 0.668, 0.650]),
    "stabilized": np.array([0.690, 0.671, 0.695, 0.688, 0.690, 0.682]),
}
COMPRESSED = {
    "baseline": np.array([0.640, 0.622, 0.650, 0.633, 0.651, 0.628]),
    "stabilized": np.array([0.684, 0.664, 0.690, 0.680, 0.685, 0.674]),
}
CHANGE = {variant: COMPRESSED[variant] - DENSE[variant] for variant in DENSE}
SURVIVES = {"metric": "accuracy", "at": {"change_from": "dense"}, "compression": INT8}
GROUPS = {"reference": ["baseline", "dense"], "candidate": ["stabilized", INT8]}


@pytest.fixture
def rows_of(make_rows):
    """Rows of the two tables above; `failed` and `missing` are (variant, seed)."""

    def rows(metric="accuracy", failed=(), missing=None, at=None):
        found = []
        for variant in DENSE:
            flags = [float((variant, seed) in failed) for seed in range(6)]
            found += make_rows("train.failed", variant, flags, better="lower")
            for compression, values in (("dense", DENSE[variant]), (INT8, COMPRESSED[variant])):
                kept = [None if (variant, compression, seed) == missing else v for seed, v in enumerate(values)]
                found += make_rows(metric, variant, kept, at, compression=compression)
        return found

    return rows


@pytest.fixture
def study(make_suite):
    def suite(probes=("accuracy",), **compare):
        content = {"primary": ["accuracy"], **compare}
        return make_suite(
            compressions=[INT8], compress_probes=list(probes), probes={p: {} for p in probes}, compare=content
        )

    return suite


def the(claims: list[Claim], claim_id: str) -> Claim:
    (found,) = [claim for claim in claims if claim.id == claim_id]
    return found


def test_a_contrast_of_two_groups_is_the_paired_t_of_their_seeds(study, rows_of) -> None:
    suite = study(contrasts=[{"metric": "accuracy", **GROUPS}])

    claim = the(build_claims(rows_of(), suite), f"accuracy:stabilized@{INT8}:baseline@dense")

    expected = stats.ttest_rel(COMPRESSED["stabilized"], DENSE["baseline"])
    assert claim.effect == pytest.approx(np.mean(COMPRESSED["stabilized"] - DENSE["baseline"]))
    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert (claim.primary, claim.level, claim.verdict) == (False, 0.95, "improved")
    assert (claim.reference, claim.candidate) == (("baseline", "dense"), ("stabilized", INT8))
    assert contrast_text(claim) == f"stabilized ({INT8}) vs baseline (dense)"


def test_the_contrast_the_other_way_round_has_the_opposite_effect(study, rows_of) -> None:
    swapped = {"metric": "accuracy", "reference": GROUPS["candidate"], "candidate": GROUPS["reference"]}

    claims = build_claims(rows_of(), study(contrasts=[{"metric": "accuracy", **GROUPS}, swapped]))

    forward = the(claims, f"accuracy:stabilized@{INT8}:baseline@dense")
    back = the(claims, f"accuracy:baseline@dense:stabilized@{INT8}")
    assert (back.effect, back.verdict) == (pytest.approx(-forward.effect), "regressed")


def test_a_contrast_that_is_primary_too_is_made_once_and_adjusted(study, rows_of) -> None:
    same = {"metric": "accuracy", "reference": ["baseline", "dense"], "candidate": ["stabilized", "dense"]}

    claims = build_claims(rows_of(), study(primary=["accuracy", "train.failed"], contrasts=[same]))

    claim = the(claims, "accuracy:stabilized@dense:baseline@dense")
    assert (claim.primary, claim.level) == (True, 0.975)


def test_a_contrast_with_compressed_models_leaves_failed_pairs_out(study, rows_of) -> None:
    suite = study(contrasts=[{"metric": "accuracy", **GROUPS}])

    claim = the(build_claims(rows_of(failed=[("baseline", 2)]), suite), f"accuracy:stabilized@{INT8}:baseline@dense")

    left = [0, 1, 3, 4, 5]
    assert (claim.n_used, claim.n_planned) == (5, 6)
    assert claim.effect == pytest.approx(np.mean((COMPRESSED["stabilized"] - DENSE["baseline"])[left]))


def test_a_contrast_nothing_answers_is_incomplete_not_left_out(study) -> None:
    claims = build_claims([], study(contrasts=[{"metric": "accuracy", **GROUPS}]))

    assert the(claims, f"accuracy:stabilized@{INT8}:baseline@dense").verdict == "incomplete"


def test_the_change_under_compression_is_a_difference_in_differences(study, rows_of) -> None:
    claim = the(build_claims(rows_of(), study()), f"accuracy{{change_from=dense}}:stabilized@{INT8}:baseline@{INT8}")

    expected = stats.ttest_rel(CHANGE["stabilized"], CHANGE["baseline"])
    assert claim.effect == pytest.approx(np.mean(CHANGE["stabilized"] - CHANGE["baseline"]))
    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert claim.reference_value == pytest.approx(CHANGE["baseline"].mean())
    assert claim.candidate_value == pytest.approx(CHANGE["stabilized"].mean())
    assert (claim.at, claim.primary, claim.margin) == ({"change_from": "dense"}, False, 0.01)
    assert claim.verdict == "improved"


def test_a_primary_claim_can_be_about_the_change(study, rows_of) -> None:
    claims = build_claims(rows_of(), study(primary=["accuracy", SURVIVES]))

    primary = [claim for claim in claims if claim.primary]
    assert [claim.id for claim in primary] == [
        "accuracy:stabilized@dense:baseline@dense",
        f"accuracy{{change_from=dense}}:stabilized@{INT8}:baseline@{INT8}",
    ]
    assert sorted(claim.level for claim in primary) == pytest.approx([0.95, 0.975])


def test_a_margin_of_the_metric_holds_for_its_change(study, rows_of) -> None:
    claim = the(
        build_claims(rows_of(), study(primary=[SURVIVES], margins={"accuracy": 0.05})),
        f"accuracy{{change_from=dense}}:stabilized@{INT8}:baseline@{INT8}",
    )

    assert (claim.verdict, claim.margin) == ("equivalent", 0.05)


def test_a_change_needs_all_four_models_of_a_seed(study, rows_of) -> None:
    rows = rows_of(missing=("baseline", "dense", 3))

    claim = the(
        build_claims(rows, study(primary=[SURVIVES])),
        f"accuracy{{change_from=dense}}:stabilized@{INT8}:baseline@{INT8}",
    )

    assert (claim.verdict, claim.n_used, claim.n_planned) == ("incomplete", 5, 6)


def test_a_failed_run_of_either_arm_takes_its_pair_out_of_the_change(study, rows_of) -> None:
    failed = [("baseline", 0), ("stabilized", 4)]

    claim = the(
        build_claims(rows_of(failed=failed), study()),
        f"accuracy{{change_from=dense}}:stabilized@{INT8}:baseline@{INT8}",
    )

    left = [1, 2, 3, 5]
    assert claim.n_used == 4
    assert claim.effect == pytest.approx(np.mean((CHANGE["stabilized"] - CHANGE["baseline"])[left]))
    assert "seed 0, 4" in claim.reason


def test_a_change_on_the_log_scale_is_a_ratio_of_ratios(study, rows_of) -> None:
    entry = {"metric": "attack.queries", "at": {"change_from": "dense"}, "compression": INT8}

    claims = build_claims(rows_of("attack.queries", at={"recipe": "pwws"}), study(primary=[entry]))

    (claim,) = [claim for claim in claims if claim.primary]
    ratios = {v: COMPRESSED[v] / DENSE[v] for v in DENSE}
    expected = stats.ttest_rel(np.log(ratios["stabilized"]), np.log(ratios["baseline"]))
    assert claim.at == {"recipe": "pwws", "change_from": "dense"}
    assert claim.effect == pytest.approx(np.mean(np.log(ratios["stabilized"] / ratios["baseline"])))
    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.candidate_value == pytest.approx(ratios["stabilized"].mean())


def test_a_change_from_zero_on_the_log_scale_is_said_to_have_no_value(study, make_rows) -> None:
    entry = {"metric": "attack.queries", "at": {"change_from": "dense"}, "compression": INT8}
    rows = []
    for variant in DENSE:
        rows += make_rows("attack.queries", variant, [0.0, *DENSE[variant][1:]])
        rows += make_rows("attack.queries", variant, COMPRESSED[variant], compression=INT8)

    (claim,) = [claim for claim in build_claims(rows, study(primary=[entry])) if claim.primary]

    assert (claim.verdict, claim.effect) == ("inconclusive", None)
    assert "not positive" in claim.reason


def test_latency_changes_are_compared_process_by_process(make_suite, make_latency) -> None:
    seconds = {
        ("baseline", "dense"): [0.0200, 0.0203, 0.0199, 0.0201, 0.0204, 0.0198],
        ("stabilized", "dense"): [0.0201, 0.0202, 0.0200, 0.0200, 0.0203, 0.0199],
        ("baseline", INT8): [0.0101, 0.0102, 0.0098, 0.0102, 0.0101, 0.0100],
        ("stabilized", INT8): [0.0131, 0.0134, 0.0127, 0.0130, 0.0135, 0.0128],
    }
    replicate = [1.001, 0.999, 1.002, 1.0, 0.998, 1.001]

    claims = build_claims(make_latency(seconds, replicate), make_suite(compressions=[INT8]))

    claim = the(claims, f"latency.ratio{{batch=1,change_from=dense,length=32}}:stabilized@{INT8}:baseline@{INT8}")
    logs = {group: np.log(values) for group, values in seconds.items()}
    change = {v: logs[v, INT8] - logs[v, "dense"] for v in ("baseline", "stabilized")}
    expected = stats.ttest_rel(change["stabilized"], change["baseline"])
    assert claim.effect == pytest.approx(np.mean(change["stabilized"] - change["baseline"]))
    assert claim.p == pytest.approx(expected.pvalue)
    assert claim.reference_value == pytest.approx(np.exp(change["baseline"].mean()))
    assert claim.candidate_value == pytest.approx(np.exp(change["stabilized"].mean()))
    assert (claim.verdict, claim.n_used, claim.n_seeds) == ("regressed", 6, None)


def test_no_change_is_claimed_where_nothing_was_measured_before_or_after(study, make_rows) -> None:
    rows = make_rows("accuracy", "baseline", DENSE["baseline"])
    rows += make_rows("accuracy", "stabilized", DENSE["stabilized"])
    rows += make_rows("accuracy", "stabilized", COMPRESSED["stabilized"], compression=INT8)

    assert not [claim for claim in build_claims(rows, study()) if "change_from" in claim.at]


def test_a_change_is_said_in_words(study, rows_of) -> None:
    claims = build_claims(rows_of(), study(primary=[SURVIVES]))
    (claim,) = [claim for claim in claims if claim.primary]

    assert label(claim) == f"accuracy change under {INT8}"
    assert contrast_text(claim) == "stabilized vs baseline"
    assert f"improved: accuracy change under {INT8}, stabilized vs baseline: +1.4 points" in claim_line(claim)
    assert summary(claims, {}).startswith(f"stabilized vs baseline: accuracy change under {INT8} improved (+1.4 points")


def test_the_report_shows_changes_with_their_signs(study, rows_of) -> None:
    claims = build_claims(rows_of(), study(primary=[SURVIVES]))

    (row,), _ = claim_rows({"claims": [claim.as_dict() for claim in claims]})

    assert (row.reference.text, row.candidate.text) == ("−2.0 points", "−0.6 points")
    assert row.reference.value == pytest.approx(CHANGE["baseline"].mean())
    assert row.label == f"accuracy change under {INT8}"


def test_a_change_keeps_the_keys_of_the_json(study, rows_of) -> None:
    plain, change = (build_claims(rows_of(), study(primary=[entry]))[0] for entry in ("accuracy", SURVIVES))

    assert set(change.as_dict()) == set(plain.as_dict())
    assert Claim.from_dict(change.as_dict()).id == change.id
