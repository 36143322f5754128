"""The rules on all seeds of an arm: trainings that spread, a test set that is too small, a harmful stabilizer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from illness import SOUND_RECIPES, WARM, Recipe, Train

from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.diagnose import findings_of
from stabbench.diagnosis.finding import Finding
from stabbench.diagnosis.rules import ARM_RULES

FEW = Recipe({"epochs": 25}, WARM, examples=40, test=128)
HARMED = {**WARM, "fgm": {"epsilon": 50.0}}


def arm_of(trained: Train, recipe: Recipe, seeds: Sequence[int], name: str = "arm", reference: bool = True) -> Arm:
    pairs = [trained(recipe, seed) for seed in seeds]
    trials = tuple(replace(trial, variant=name) for _, trial in pairs)
    return replace(pairs[0][0], variant=name, reference=reference, trials=trials)


def arm_findings(arm: Arm, arms: Sequence[Arm] = ()) -> list[Finding]:
    names = {rule.name for rule in ARM_RULES}
    return [finding for finding in findings_of(arm, arms or [arm]) if finding.rule in names]


def test_few_training_examples_make_seeds_differ_on_new_texts(trained: Train) -> None:
    """40 sentences are fitted by every seed; on 128 new ones the seeds spread more than 128 texts explain."""
    arm = arm_of(trained, FEW, range(5))

    (finding,) = arm_findings(arm)
    numbers = finding.evidence[0].numbers
    accuracies = [float((t.predicted == t.labels).mean()) for t in arm.trials if t.labels is not None]

    assert finding.rule == "generalisation"
    assert numbers["sd"] == pytest.approx(np.std(accuracies, ddof=1))
    assert numbers["excess_variance"] == pytest.approx(numbers["sd"] ** 2 / numbers["floor"] ** 2)
    assert finding.seeds == ("0", "1", "2", "3", "4")


def test_a_handful_of_test_texts_spreads_by_itself(trained: Train) -> None:
    """Three seeds answer 12 texts, each with its own mistakes: SD is large, and no larger than 12 texts make it."""
    arm = arm_of(trained, FEW, range(3))
    right = np.ones((3, 12), bool)
    right[0, 0] = right[1, [1, 2]] = right[2, [3, 4, 5]] = False
    labels = np.arange(12) % 2
    trials = [
        replace(t, failed=False, labels=labels, predicted=np.where(ok, labels, 1 - labels))
        for t, ok in zip(arm.trials, right, strict=True)
    ]

    (finding,) = arm_findings(replace(arm, trials=tuple(trials)))

    assert finding.rule == "finite-test"
    assert finding.evidence[0].numbers["sd"] == pytest.approx(1 / 12)
    assert finding.evidence[0].numbers["excess_variance"] <= 1.5
    assert "larger test set" in finding.remedies[0].text
    assert not finding.remedies[0].changes


def test_a_stabilizer_that_breaks_its_arm_alone_is_named_and_halved(trained: Train) -> None:
    seeds = range(2)
    sound = arm_of(trained, SOUND_RECIPES["warm"], seeds, "baseline")
    harmed = arm_of(trained, Recipe(stabilizers=HARMED), seeds, "stabilized", reference=False)
    assert len(harmed.failed) == 2, "the adversarial step is far too large"

    (finding,) = arm_findings(harmed, [sound, harmed])

    assert (finding.rule, finding.seeds) == ("stabilizer-alone", ("0", "1"))
    assert finding.evidence[0].numbers["p"] == 0.5, "exact McNemar of two pairs that turn one way"
    assert finding.remedies[0].add == {"fgm": {"epsilon": 25.0}}
    assert finding.remedies[-1].remove == ("fgm",)
    assert arm_findings(sound, [sound, harmed]) == []
    failing = replace(sound, trials=tuple(replace(t, failed=True) for t in sound.trials))
    assert arm_findings(harmed, [failing, harmed]) == [], "the reference fails as well"


@pytest.mark.parametrize("rule", ARM_RULES, ids=lambda rule: rule.name)
def test_none_fires_on_sound_arms(trained: Train, rule: object) -> None:
    first = arm_of(trained, SOUND_RECIPES["warm"], range(2), "baseline")
    second = arm_of(trained, SOUND_RECIPES["clipped at 1"], range(2), "stabilized", reference=False)

    assert [f.rule for arm in (first, second) for f in arm_findings(arm, [first, second])] == []


def test_what_cannot_be_known_is_not_said(trained: Train) -> None:
    """Without answers on the test split, with two seeds, or with other test texts there is no excess variance."""
    arm = arm_of(trained, FEW, range(5))
    one, *rest = arm.trials

    assert arm_findings(replace(arm, trials=arm.trials[:2])) == []
    assert arm_findings(replace(arm, trials=tuple(replace(t, predicted=None) for t in arm.trials))) == []
    assert one.labels is not None
    other = replace(one, labels=1 - one.labels)
    assert arm_findings(replace(arm, trials=(other, *rest))) == []
    assert math.isfinite(one.numbers["train.accuracy_train"] or math.nan)
