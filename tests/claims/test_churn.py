"""Flips by compression over flips by the seed."""

import numpy as np
import pytest

from stabbench.claims.build import build_claims
from stabbench.claims.derive import derive
from stabbench.statistics.seeds import disagreement

RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 2, 50)
ANSWERS = RNG.integers(0, 2, (4, 50))
FLIPS = [0.02, 0.10, 0.0, 0.06]


def _predictions(seeds: int = 4) -> dict:
    return {("baseline", str(seed), "dense"): (LABELS, ANSWERS[seed]) for seed in range(seeds)}


def _churn(rows: list, predictions: dict, suite: object) -> dict:
    derived = derive(rows, predictions, suite)
    return {row.seed: row.measurement for row in derived if row.measurement.metric == "compression.seed_churn"}


def test_flips_are_divided_by_the_mean_disagreement_of_uncompressed_seeds(make_rows, make_suite) -> None:
    rows = make_rows("compression.flip_rate", "baseline", FLIPS, compression="ort-int8", better="lower")
    pairs = [np.mean(ANSWERS[i] != ANSWERS[j]) for i in range(4) for j in range(i)]

    found = _churn(rows, _predictions(), make_suite(seeds=4))

    for seed, flips in enumerate(FLIPS):
        assert found[str(seed)].value == pytest.approx(flips / np.mean(pairs))


def test_failed_runs_do_not_make_seeds_disagree(make_rows, make_suite) -> None:
    rows = make_rows("compression.flip_rate", "baseline", FLIPS, compression="ort-int8", better="lower")
    rows += make_rows("train.failed", "baseline", [0.0, 0.0, 1.0, 0.0])

    found = _churn(rows, _predictions(), make_suite(seeds=4))

    assert found["0"].value == pytest.approx(FLIPS[0] / disagreement(ANSWERS[[0, 1, 3]]))
    assert found["2"].status == "failed-run"


@pytest.mark.parametrize("seeds", [0, 1])
def test_one_seed_has_nothing_to_be_measured_by(seeds: int, make_rows, make_suite) -> None:
    rows = make_rows("compression.flip_rate", "baseline", FLIPS[:1], compression="ort-int8", better="lower")

    assert _churn(rows, _predictions(seeds), make_suite(seeds=4))["0"].value is None


def test_seeds_that_agree_on_every_text_give_no_measure(make_rows, make_suite) -> None:
    rows = make_rows("compression.flip_rate", "baseline", FLIPS, compression="ort-int8", better="lower")
    same = {("baseline", str(seed), "dense"): (LABELS, ANSWERS[0]) for seed in range(4)}

    assert _churn(rows, same, make_suite(seeds=4))["1"].value is None


@pytest.mark.parametrize(
    ("metric", "at"),
    [("noise.accuracy", {}), ("attack.accuracy_under_attack", {"recipe": "pwws"}), ("accuracy", {})],
)
def test_whether_training_survives_compression_better_is_claimed_of_robustness_too(
    metric: str, at: dict, make_rows, make_suite
) -> None:
    """Candidate minus reference of (compressed minus dense), seed by seed."""
    values = {(v, c): RNG.uniform(0.4, 0.9, 6) for v in ("baseline", "stabilized") for c in ("dense", "ort-int8")}
    rows = [
        row
        for (variant, compression), found in values.items()
        for row in make_rows(metric, variant, found.tolist(), at=at, compression=compression)
    ]

    claims = build_claims(rows, make_suite(compressions=["ort-int8"], probes={"accuracy": {}, "noise": {}}))

    (claim,) = [claim for claim in claims if claim.at.get("change_from") == "dense"]
    change = {v: values[v, "ort-int8"] - values[v, "dense"] for v in ("baseline", "stabilized")}
    assert claim.metric == metric
    assert claim.effect == pytest.approx(np.mean(change["stabilized"] - change["baseline"]))
    assert (claim.candidate, claim.reference) == (("stabilized", "ort-int8"), ("baseline", "ort-int8"))
