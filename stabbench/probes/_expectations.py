"""What a behavioural case asks of a model's answers, and whether they keep to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stabbench.data.behavior_cases import Case
from stabbench.probes._polarity import NEGATIVE, NEUTRAL, Polarity

PASSED, FAILED, NOT_APPLICABLE = 0, 1, -1
_OF_POLARITY = ("not_negative", "label_or_not_negative_if_1", "positive_prob_not_up", "positive_prob_not_down")


@dataclass(frozen=True)
class Judged:
    """How a case ended.

    Attributes:
        outcome: `PASSED`, `FAILED` or `NOT_APPLICABLE`.
        text: index of the text that failed most clearly (of MFT the first that failed); 0 where none did.
    """

    outcome: int
    text: int = 0


def needs_polarity(case: Case) -> bool:
    """Return whether the case speaks of negative, neutral or positive."""
    return case.expect in _OF_POLARITY or (case.expect == "label" and isinstance(case.label, int))


def judge(
    case: Case,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    polarity: Polarity | None,
    tolerance: float,
) -> Judged:
    """Return whether the answers to a case's texts are as expected.

    Args:
        case: with k texts.
        predicted: (k,) classes, −1 for no answer.
        probabilities: (k, C).
        classes: C names.
        polarity: of the classes; must be known where `needs_polarity`.
        tolerance: by how much a probability may go the wrong way.
    """
    if case.type == "MFT":
        return _functionality(case, predicted, classes, polarity)
    if case.expect == "same_prediction":
        return _worst((predicted[1:] != predicted[0]).astype(float))
    confidence = _followed(case, predicted, probabilities, polarity)
    if confidence is None:
        return Judged(NOT_APPLICABLE)
    up = case.expect.endswith("_not_up")
    original = confidence[0]
    if case.expect.startswith("confidence") and (original >= 1 - tolerance if up else original <= tolerance):
        # There is no room left in which the confidence could go the wrong way.
        return Judged(NOT_APPLICABLE)
    wrong_way = (confidence[1:] - original) * (1 if up else -1)
    # A probability that is not finite keeps to no direction.
    return _worst(np.where(np.isfinite(wrong_way), np.maximum(wrong_way - tolerance, 0), np.inf))


def _functionality(case: Case, predicted: np.ndarray, classes: Sequence[str], polarity: Polarity | None) -> Judged:
    if isinstance(case.label, str):
        return _first(predicted != classes.index(case.label))
    assert polarity is not None
    answers = polarity.of(predicted)
    if case.expect == "label":
        assert case.label is not None
        return _first(answers != case.label) if polarity.has(case.label) else Judged(NOT_APPLICABLE)
    if case.expect == "label_or_not_negative_if_1" and case.label != NEUTRAL:
        return _first(answers != case.label)
    return _first((answers == NEGATIVE) | (answers < 0))


def _followed(
    case: Case, predicted: np.ndarray, probabilities: np.ndarray, polarity: Polarity | None
) -> np.ndarray | None:
    """Return the (k,) probability that a directional case is about, or None where the case does not apply.

    For ``positive_prob`` that is p(positive) − p(negative): checked against the sentiment suite of marcotcr/checklist.
    """
    if case.expect.startswith("positive_prob"):
        assert polarity is not None
        return polarity.balance(probabilities)
    answer = int(predicted[0])
    if answer < 0:
        return np.full(len(predicted), np.nan)
    if polarity is not None and polarity.codes[answer] == NEUTRAL:
        # An intensifier makes nothing more neutral.
        return None
    return probabilities[:, answer]


def _first(failed: np.ndarray) -> Judged:
    return Judged(FAILED, int(failed.argmax())) if failed.any() else Judged(PASSED)


def _worst(excess: np.ndarray) -> Judged:
    """Judge the texts after the original by how far each is beyond what is allowed."""
    return Judged(FAILED, 1 + int(excess.argmax())) if (excess > 0).any() else Judged(PASSED)
