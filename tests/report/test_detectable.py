"""What an undecided claim could have seen, against scipy and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from stabbench.claims.claim import Claim
from stabbench.report.detectable import standard_deviation, undecided

DIFFERENCES = np.array([-0.038, -0.002, 0.186, -0.092, -0.082, -0.088])


def claim(differences: np.ndarray = DIFFERENCES, level: float = 0.95, **changes: object) -> Claim:
    low, high = stats.t.interval(
        level, len(differences) - 1, float(np.mean(differences)), float(stats.sem(differences))
    )
    content = {
        "id": "a", "metric": "accuracy", "at": {}, "primary": True, "reference": ("b", "dense"),
        "candidate": ("s", "dense"), "reference_value": 0.7, "candidate_value": 0.7,
        "effect": float(np.mean(differences)), "interval": (float(low), float(high)), "level": level, "margin": 0.01,
        "p": 0.7, "test": "paired t", "verdict": "inconclusive", "reason": "", "n_seeds": len(differences),
        "n_used": len(differences), "n_planned": len(differences),
    }  # fmt: skip
    return Claim(**{**content, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_interval_gives_back_the_standard_deviation_of_the_differences(level: float) -> None:
    assert standard_deviation(claim(level=level)) == pytest.approx(np.std(DIFFERENCES, ddof=1))


def test_the_size_told_is_seen_in_four_of_five_simulated_runs() -> None:
    (told,) = undecided({"claims": [claim().as_dict()]})
    size = float(told.split("have to be ")[1].split(" points")[0]) / 100
    sd = float(np.std(DIFFERENCES, ddof=1))

    drawn = np.random.default_rng(0).normal(size, sd, (20_000, len(DIFFERENCES)))

    assert np.mean(stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize(
    "changes", [{"verdict": "equivalent"}, {"primary": False}, {"interval": None}, {"metric": "train.failed"}]
)
def test_only_inconclusive_primary_level_claims_are_told(changes: dict[str, object]) -> None:
    assert undecided({"claims": [claim(**changes).as_dict()]}) == []
