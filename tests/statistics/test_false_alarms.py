"""A/A: comparing an arm with itself must rarely decide; and a real difference must be seen."""

import csv
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from stabbench.statistics.paired import paired_t

DATA = Path(os.environ.get("STABBENCH_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
RUNS = DATA / "seed_runs" / "model_recycling_6_models_36_tasks.tsv"


def decided(differences) -> bool:
    p = paired_t(differences).p
    return p is not None and p < 0.05


@pytest.mark.parametrize("n", [3, 6, 10])
def test_equal_arms_are_told_apart_in_one_case_of_twenty(n: int) -> None:
    rng = np.random.default_rng(n)
    alarms = np.mean([decided(rng.normal(size=n) - rng.normal(size=n)) for _ in range(1500)])

    assert 0.035 <= alarms <= 0.065


def test_two_seed_standard_deviations_are_seen_at_six_seeds() -> None:
    rng = np.random.default_rng(7)
    seen = np.mean([decided(rng.normal(2, 1, 6) - rng.normal(0, 1, 6)) for _ in range(500)])

    assert seen >= 0.75


@pytest.mark.skipif(not RUNS.exists(), reason=f"needs real seed results: {RUNS.name} below $STABBENCH_TEST_DATA")
@pytest.mark.parametrize("n", [5, 10])
def test_false_alarms_on_real_seed_distributions_stay_below_six_and_a_half_percent(n: int) -> None:
    groups = defaultdict(list)
    with RUNS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["accuracy"]:
                groups[row["model"], row["dataset"]].append(float(row["accuracy"]))
    rng = np.random.default_rng(11)
    full = [np.array(values) for values in groups.values() if len(values) == 20]
    assert len(full) > 150

    alarms = []
    for _ in range(1500):
        values = rng.permutation(full[rng.integers(len(full))])
        alarms.append(decided(values[:n] - values[n : 2 * n]))

    assert np.mean(alarms) <= 0.065
