"""Derived rows about seeds: the expected best, and the sources of variance of crossed seeds."""

from itertools import combinations

import numpy as np
import pytest

from stabbench.claims.derive import derive
from stabbench.records import Measurement, Row
from stabbench.seeding import TrialSeeds


def metrics(rows):
    return {(row.measurement.metric, *row.measurement.at.values()): row.measurement for row in rows if row.seed is None}


def test_the_expected_best_is_told_for_as_many_seeds_as_there_are(make_rows, make_suite) -> None:
    accuracy = [0.61, 0.70, 0.66, 0.48, 0.69, 0.65]

    found = metrics(derive(make_rows("accuracy", "baseline", accuracy), {}, make_suite(seeds=6)))

    for k in (3, 5):
        best = found["seeds.expected_maximum", k]
        assert best.value == pytest.approx(np.mean([max(chosen) for chosen in combinations(accuracy, k)]))
        assert (best.better, best.n_used, best.n_planned) == ("higher", 6, 6)
    assert ("seeds.expected_maximum", 10) not in found


def crossed(accuracy: np.ndarray) -> list[Row]:
    return [
        Row("baseline", TrialSeeds(i, j).label, "dense", "accuracy", Measurement("accuracy", value, "share", "higher"))
        for (i, j), value in np.ndenumerate(accuracy)
    ]


def test_crossed_seeds_tell_which_source_matters(make_suite) -> None:
    accuracy = np.round(
        0.7 + 0.05 * np.array([[-1.0], [0], [1]]) + 0.01 * np.random.default_rng(1).normal(size=(3, 4)), 6
    )

    found = metrics(derive(crossed(accuracy), {}, make_suite(seeds={"init": 3, "order": 4})))

    rows, columns = accuracy.mean(1), accuracy.mean(0)
    rest = accuracy - rows[:, None] - columns + accuracy.mean()
    e = (rest**2).sum() / 6
    assert found["seeds.variance_rest",].value == pytest.approx(e)
    assert found["seeds.variance_init",].value == pytest.approx((4 * rows.var(ddof=1) - e) / 4)
    assert found["seeds.variance_order",].value == pytest.approx(max(0, (3 * columns.var(ddof=1) - e) / 3))
    assert found["seeds.variance_init",].n_used == 12


def test_an_incomplete_grid_and_plain_seeds_have_no_sources(make_rows, make_suite) -> None:
    rows = crossed(np.random.default_rng(1).random((3, 4)))
    plain = make_rows("accuracy", "baseline", [0.5, 0.6, 0.7])

    for found in (
        derive(rows[:-1], {}, make_suite(seeds={"init": 3, "order": 4})),
        derive(plain, {}, make_suite(seeds=3)),
    ):
        assert not any(row.measurement.metric.startswith("seeds.variance") for row in found)
