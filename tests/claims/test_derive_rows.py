"""Derived measurements: mCE against the matched reference, and what seeds do to a group."""

import math

import numpy as np
import pytest

from stabbench.claims.derive import derive, mean_corruption_error
from stabbench.statistics.seeds import disagreement

KINDS, SEVERITIES = ("keyboard", "homoglyph"), (1, 3)
RNG = np.random.default_rng(3)
ACCURACY = {(v, k, s): RNG.uniform(0.5, 0.8, 3) for v in ("baseline", "stabilized") for k in KINDS for s in SEVERITIES}


@pytest.fixture
def noise_rows(make_rows):
    rows = []
    for (variant, kind, severity), values in ACCURACY.items():
        rows += make_rows("noise.accuracy", variant, values.tolist(), at={"kind": kind, "severity": severity})
    return rows + make_rows("noise.accuracy", "baseline", [0.6] * 3)


def of(rows, metric, variant):
    return {row.seed: row.measurement for row in rows if row.measurement.metric == metric and row.variant == variant}


def test_mce_is_the_mean_over_kinds_of_error_ratios(noise_rows, make_suite) -> None:
    found = of(derive(noise_rows, {}, make_suite(seeds=3)), "noise.mce", "stabilized")

    for seed in range(3):
        ratios = [
            sum(1 - ACCURACY["stabilized", kind, s][seed] for s in SEVERITIES)
            / sum(1 - ACCURACY["baseline", kind, s][seed] for s in SEVERITIES)
            for kind in KINDS
        ]
        assert found[str(seed)].value == pytest.approx(np.mean(ratios))
    assert found["0"].better == "lower"


def test_mce_of_the_reference_is_one(noise_rows, make_suite) -> None:
    found = of(derive(noise_rows, {}, make_suite(seeds=3)), "noise.mce", "baseline")

    assert [m.value for m in found.values()] == [1.0, 1.0, 1.0]


def test_mce_follows_the_suites_reference(noise_rows, make_suite) -> None:
    suite = make_suite(seeds=3, compare={"reference": "stabilized", "primary": ["accuracy"]})

    assert of(derive(noise_rows, {}, suite), "noise.mce", "stabilized")["1"].value == 1.0
    assert of(derive(noise_rows, {}, suite), "noise.mce", "baseline")["1"].value != 1.0


def test_mce_of_a_compressed_model_is_against_the_reference_compressed_alike(noise_rows, make_rows, make_suite) -> None:
    at = {"kind": "keyboard", "severity": 1}
    rows = noise_rows + make_rows("noise.accuracy", "baseline", [0.5] * 3, at=at, compression="ort-int8")
    rows += make_rows("noise.accuracy", "stabilized", [0.6] * 3, at=at, compression="ort-int8")

    found = [row for row in derive(rows, {}, make_suite(seeds=3)) if row.compression == "ort-int8"]

    assert {row.variant: row.measurement.value for row in found if row.seed == "0"} == {
        "baseline": 1.0,
        "stabilized": pytest.approx(0.4 / 0.5),
    }


@pytest.mark.parametrize(
    ("errors", "reference"),
    [
        ({}, {}),
        ({("a", 1): 0.2}, {("a", 1): 0.0}),
        ({("a", 1): 0.2}, {("a", 1): 0.5 / 100}),
        ({("a", 1): 0.2}, {("a", 1): 0.2, ("b", 1): 0.2}),
    ],
)
def test_mce_without_a_sound_denominator_is_unknown(errors, reference) -> None:
    assert mean_corruption_error(errors, reference, 100) is None


def test_one_mistake_of_the_reference_is_enough_and_nan_is_data() -> None:
    assert mean_corruption_error({("a", 1): 0.02}, {("a", 1): 1 - 0.99}, 100) == pytest.approx(2.0)
    assert math.isnan(mean_corruption_error({("a", 1): math.nan}, {("a", 1): 0.5}, 100))


def test_mce_of_a_failed_run_is_marked(noise_rows, make_rows, make_suite) -> None:
    rows = noise_rows + make_rows("train.failed", "stabilized", [0.0, 1.0, 0.0])

    found = of(derive(rows, {}, make_suite(seeds=3)), "noise.mce", "stabilized")

    assert [found[seed].status for seed in "012"] == ["ok", "failed-run", "ok"]


def test_seed_figures_of_a_group(make_rows, make_suite) -> None:
    labels = RNG.integers(0, 2, 300)
    made = {
        ("baseline", str(i), "dense"): (labels, np.where(RNG.random(300) < 0.7, labels, 1 - labels)) for i in range(3)
    }
    accuracy = [float((predicted == y).mean()) for y, predicted in made.values()]
    rows = derive(make_rows("accuracy", "baseline", accuracy), made, make_suite(seeds=3))

    group = {row.measurement.metric: row.measurement for row in rows if row.seed is None}
    answers = np.stack([predicted for _, predicted in made.values()])
    assert group["seeds.sd"].value == pytest.approx(np.std(accuracy, ddof=1))
    assert group["seeds.disagreement"].value == pytest.approx(disagreement(answers))
    floor = disagreement(answers) / (2 * 300)
    assert group["seeds.excess_variance"].value == pytest.approx(np.var(accuracy, ddof=1) / floor)
    assert (group["seeds.sd"].n_used, group["seeds.sd"].n_planned) == (3, 3)


def test_seeds_that_answered_different_examples_have_no_disagreement(make_rows, make_suite) -> None:
    made = {("baseline", str(i), "dense"): (np.arange(4) == i, np.ones(4, bool)) for i in range(2)}

    rows = derive(make_rows("accuracy", "baseline", [0.25, 0.25]), made, make_suite(seeds=2))

    assert {row.measurement.metric: row.measurement.value for row in rows}["seeds.disagreement"] is None
