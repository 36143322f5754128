"""When a trial counts as a failed run: a result, never an exception."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

ONE_CLASS = 0.99
"""Share of one predicted class from which a run has collapsed."""
LOWEST_MCC = 0.05


def failure_reason(
    labels: Sequence[int], probabilities: np.ndarray, metric: Literal["accuracy", "mcc"], finite_loss: bool
) -> str | None:
    """Return why the run failed, or None.

    Failed is: a loss that was not finite; one class predicted for at least 99 % of the test examples; accuracy ≤ the
    majority class's share + 1/N, or, *instead* where `metric` is mcc, MCC ≤ 0.05 (undefined MCC counts as 0).

    Args:
        labels: (N,) class indices of the test split.
        probabilities: (N, C) predictions of the final model.
        metric: the task's metric.
        finite_loss: False where the training loss was NaN or infinite at any step.
    """
    truth = np.asarray(labels)
    if not finite_loss:
        return "the training loss became NaN or infinite"
    if not np.isfinite(probabilities).all():
        return "the predictions are not finite"
    predicted = probabilities.argmax(axis=1)
    share = float(np.bincount(predicted).max() / len(truth))
    if share >= ONE_CLASS:
        return f"one class is predicted for {share:.1%} of the test examples (failed from {ONE_CLASS:.0%})"
    if metric == "mcc":
        mcc = matthews(truth, predicted)
        return f"MCC {mcc:.3f} is at most {LOWEST_MCC}" if mcc <= LOWEST_MCC else None
    accuracy = float((predicted == truth).mean())
    limit = float(np.bincount(truth).max() + 1) / len(truth)
    return f"accuracy {accuracy:.4f} is at most majority share + 1/N = {limit:.4f}" if accuracy <= limit else None


def matthews(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Return Matthews' correlation for any number of classes (Gorodkin 2004), 0 where it is undefined.

    MCC = (c·n − Σₖ tₖpₖ)/√((n² − Σpₖ²)(n² − Σtₖ²)), with c right answers of n, tₖ true and pₖ predicted counts.
    """
    classes = int(max(truth.max(), predicted.max())) + 1
    t, p = (np.bincount(values, minlength=classes).astype(float) for values in (truth, predicted))
    n = float(len(truth))
    scale = math.sqrt((n * n - p @ p) * (n * n - t @ t))
    return float(((truth == predicted).sum() * n - t @ p) / scale) if scale > 0 else 0.0
