"""What all seeds of an arm say together: which spread is real, and which arm brings its own failures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stabbench.diagnosis import remedies
from stabbench.diagnosis.arms import Arm, Trial
from stabbench.diagnosis.finding import SEEDS, Evidence, Remedy
from stabbench.diagnosis.rules.base import ArmRule, Sighting, digits
from stabbench.statistics.failures import mcnemar
from stabbench.statistics.seeds import excess_variance

FEWEST = 3
FITTED = 0.97
"""Accuracy on training examples from which a run has fitted them."""
P = 0.05
AT_FLOOR = 1.5
LARGE = 0.03
"""Standard deviation of accuracy that a reader would call large."""


def _sound(arm: Arm) -> tuple[list[Trial], np.ndarray | None]:
    """Return the runs that did not fail, and whether each answers each test example rightly, (n, N)."""
    trials = [t for t in arm.trials if not t.failed and t.labels is not None and t.predicted is not None]
    labels = [np.asarray(t.labels) for t in trials]
    if len(trials) < FEWEST or not all(np.array_equal(labels[0], other) for other in labels):
        return trials, None
    return trials, np.stack([np.asarray(t.predicted) == right for t, right in zip(trials, labels, strict=True)])


def _spread(arm: Arm) -> tuple[list[Trial], float, float, float, float] | None:
    """Return runs, SD of accuracy, R, its p, and the SD that the test set alone gives; None where one is unknown."""
    trials, correct = _sound(arm)
    if correct is None:
        return None
    found = excess_variance(correct)
    if found.value is None or found.p is None:
        return None
    sd = float(np.std(correct.mean(axis=1), ddof=1))
    floor = sd / math.sqrt(found.value) if found.value > 0 else sd
    return trials, sd, found.value, found.p, floor


def _generalisation(arm: Arm, arms: Sequence[Arm]) -> Sighting | None:
    found = _spread(arm)
    if found is None:
        return None
    trials, sd, ratio, p, floor = found
    fits = [t.numbers.get("train.accuracy_train") for t in trials]
    fitted = [value for value in fits if value is not None]
    if len(fitted) < FEWEST or not float(np.median(fitted)) >= FITTED or not (p < P and ratio > 1):
        return None
    evidence = [
        Evidence(
            f"accuracy of {len(trials)} runs that did not fail has SD {sd:.3f}, where this test set alone gives "
            f"{floor:.3f}: excess variance R = {ratio:.2f}, p = {p:.2g}",
            {"sd": sd, "floor": floor, "excess_variance": ratio, "p": p},
            figure=SEEDS,
        ),
        Evidence(
            f"they fit their training examples (median accuracy {float(np.median(fitted)):.3f})",
            {"train_accuracy": float(np.median(fitted))},
        ),
    ]
    return Sighting(evidence, _calmer(arm, "more training or test data"), seeds=tuple(t.seed for t in trials))


def _calmer(arm: Arm, advice: str) -> list[Remedy | None]:
    return [
        remedies.add(arm, "ema", "average the weights over steps"),
        remedies.add(arm, "r_drop", "train passes to agree: R-Drop"),
        remedies.add(arm, "reinit_layers", "draw the top layers anew"),
        remedies.add(arm, "swa", "average the weights of the last part"),
        Remedy(advice),
    ]


GENERALISATION = ArmRule(
    "generalisation",
    6,
    "runs that fit the training data spread on the test split more than the test set explains",
    "generalisation variance: seeds find solutions that differ on new texts; no stabilizer is sure to cure it",
    _generalisation,
)


def _finite_test(arm: Arm, arms: Sequence[Arm]) -> Sighting | None:
    found = _spread(arm)
    if found is None:
        return None
    trials, sd, ratio, p, floor = found
    if not (sd >= LARGE and p >= P and ratio <= AT_FLOOR):
        return None
    n = len(trials[0].labels) if trials[0].labels is not None else 0
    evidence = Evidence(
        f"accuracy of {len(trials)} runs that did not fail has SD {sd:.3f}, and {n} test examples alone give "
        f"{floor:.3f}: excess variance R = {ratio:.2f}, p = {p:.2g}",
        {"sd": sd, "floor": floor, "excess_variance": ratio, "p": p, "test_examples": float(n)},
        figure=SEEDS,
    )
    advice = Remedy(f"a larger test set: four times {n} examples halve this spread")
    soft = Remedy("compare cross-entropy or calibration, which do not jump by whole examples")
    calmer = _calmer(arm, "")[:-1]
    return Sighting([evidence], [advice, soft, *calmer], seeds=tuple(t.seed for t in trials))


FINITE_TEST = ArmRule(
    "finite-test",
    7,
    "accuracy spreads over seeds, but no more than the size of the test set makes it",
    "finite-test noise: what looks like instability is the test set; remedies against failed runs cannot lower it",
    _finite_test,
)


def _stabilizer_alone(arm: Arm, arms: Sequence[Arm]) -> Sighting | None:
    reference = next((other for other in arms if other.reference), None)
    if arm.reference or reference is None:
        return None
    extra = [name for name in arm.stabilizers if name not in reference.stabilizers]
    sound = {t.seed for t in reference.trials if not t.failed}
    seeds = {t.seed for t in reference.trials}
    shared = [t for t in arm.trials if t.seed in seeds]
    alone = [t.seed for t in shared if t.failed and t.seed in sound]
    other = [t.seed for t in reference.trials if t.failed]
    if not extra or other or not alone or 2 * len(alone) < len(shared) or len(alone) < min(2, len(shared)):
        return None
    p = mcnemar(0, len(alone)).p
    options = [name for name, value in arm.train.items() if reference.train.get(name) != value]
    also = f"; its training options differ in {', '.join(options)} too" if options else ""
    evidence = Evidence(
        f"{len(alone)} of {len(shared)} runs fail where no run of {reference.variant} on the same seeds does (exact "
        f"McNemar p = {digits(p if p is not None else math.nan)}); it adds {', '.join(extra)}{also}",
        {"failed": float(len(alone)), "runs": float(len(shared)), "p": p if p is not None else math.nan},
        figure=SEEDS,
    )
    found = [remedies.halved(arm, name) for name in extra]
    later = Remedy("let it begin after the loss has left that of a guess")
    removals = remedies.without(arm, extra, "the reference does without")
    return Sighting([evidence], [*found, later, *removals], seeds=tuple(alone))


STABILIZER_ALONE = ArmRule(
    "stabilizer-alone",
    16,
    "runs fail only in the arm of one stabilizer",
    "the stabilizer is too strong, or acts too early",
    _stabilizer_alone,
)
