"""The verdict document: exact keys, strict JSON, and the words made from it."""

import json
import math
from dataclasses import replace

import pytest

from stabbench.claims.build import build_claims
from stabbench.claims.claim import Claim
from stabbench.claims.table import failed_runs, planned_seeds
from stabbench.claims.text import claim_line, sentence
from stabbench.claims.verdict import verdict_document

CELLS = {"planned": 5, "cached": 1, "done": 2, "errors": 1, "pending": 1}


@pytest.fixture
def document(make_suite, make_rows):
    suite = make_suite(compare={"primary": ["accuracy", "train.failed", "noise.accuracy"]})
    rows = make_rows("accuracy", "baseline", [0.660, 0.640, 0.672, 0.655, 0.668, 0.650])
    rows += make_rows("accuracy", "stabilized", [0.690, 0.671, 0.695, 0.688, 0.690, 0.682])
    rows += make_rows("train.failed", "baseline", [0, 1, 0, 0, 1, 0]) + make_rows("train.failed", "stabilized", [0] * 6)
    rows += make_rows("noise.accuracy", "baseline", [0.6, 0.61, math.nan, 0.6, 0.6, 0.6])
    claims = build_claims(rows, suite)
    return verdict_document(
        suite=suite.name,
        run="runs/x",
        status="incomplete",
        cells=CELLS,
        claims=claims[::-1],
        failed_runs=failed_runs(rows, suite),
        environment={"python": "3.13", "memory": math.inf},
        report="runs/x/report.html",
    )


def test_the_keys_are_those_of_the_design(document) -> None:
    assert list(document) == [
        "schema", "suite", "run", "status", "cells", "failed_runs", "claims", "gate", "environment", "report",
    ]  # fmt: skip
    for claim in document["claims"]:
        assert list(claim) == [
            "id", "metric", "at", "primary", "reference", "candidate", "reference_value", "candidate_value", "effect",
            "interval", "level", "margin", "p", "test", "verdict", "reason", "n_seeds", "n_used", "n_planned",
            "reference_run",
        ]  # fmt: skip


def test_the_document_is_strict_json_with_primary_claims_first(document) -> None:
    read = json.loads(json.dumps(document, allow_nan=False))

    assert read["schema"] == 1
    assert read["gate"] == []
    assert read["failed_runs"] == {"baseline": [2, 6], "stabilized": [0, 6]}
    assert read["environment"]["memory"] == "Infinity"
    primary = [claim["primary"] for claim in read["claims"]]
    assert primary == sorted(primary, reverse=True)
    assert [claim["reference_value"] for claim in read["claims"] if claim["metric"] == "noise.accuracy"] == ["NaN"]


def test_cells_must_add_up(document, make_suite) -> None:
    with pytest.raises(AssertionError):
        verdict_document(
            suite="x", run="", status="complete", cells=CELLS | {"planned": 9}, claims=[], failed_runs={},
            environment={}, report=None,
        )  # fmt: skip


def test_a_claim_reads_back_what_it_wrote(document) -> None:
    for content in json.loads(json.dumps(document))["claims"]:
        assert json.dumps(Claim.from_dict(content).as_dict()) == json.dumps(content)


def test_the_sentence_tells_every_primary_claim_and_hides_no_doubt(document) -> None:
    text = sentence(document)

    assert "accuracy improved (+2.8 points, 98.3 % CI +2.2 … +3.5)" in text
    assert "fewer failed runs: 0/6 vs 2/6, inconclusive (p = " in text
    assert "accuracy under noise incomplete (4 of 6 seed pairs were not measured)" in text


def test_the_sentence_of_one_variant_says_that_nothing_is_compared() -> None:
    assert sentence({"claims": [], "failed_runs": {"baseline": [1, 6]}}) == (
        "Nothing is compared: one variant only. Failed runs: baseline 1/6."
    )


def test_a_claim_line_is_the_same_from_the_object_and_from_its_json(document) -> None:
    content = next(c for c in document["claims"] if c["metric"] == "accuracy")

    assert claim_line(content) == claim_line(Claim.from_dict(content))
    assert claim_line(content).startswith("improved: accuracy, stabilized vs baseline: +2.8 points, 98.3 % CI")
    assert claim_line(content).endswith("n = 6/6 seeds")


def test_log_scale_effects_are_told_in_percent(document) -> None:
    claim = Claim.from_dict(document["claims"][0])
    ratio = replace(
        claim, metric="latency.ratio", at={"batch": 1, "length": 32}, effect=math.log(0.5), n_seeds=None,
        interval=(math.log(0.45), math.log(0.55)), level=0.95,
    )  # fmt: skip

    assert "latency (batch 1, length 32), stabilized vs baseline: −50.0 %, 95 % CI −55.0 … −45.0" in claim_line(ratio)


@pytest.mark.parametrize(
    ("seeds", "labels"),
    [(3, ["0", "1", "2"]), ([4, 7], ["4", "7"]), ({"init": 2, "order": 2}, ["0", "0/1", "1/0", "1"])],
)
def test_planned_seeds_have_the_labels_of_their_trials(make_suite, seeds, labels) -> None:
    assert planned_seeds(make_suite(seeds=seeds)) == labels
