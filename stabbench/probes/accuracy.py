"""Accuracy and calibration on the test split, with the collapse guard that stands beside every robustness number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from stabbench.models.subject import Subject
from stabbench.probes._predictions import answers
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Measurement


@dataclass(frozen=True)
class Accuracy(Probe):
    """Share of right answers, macro-F1, Matthews correlation, calibration error and the share of the commonest answer.

    Stores ``predictions.npz``: example (N,) str, label (N,) int64, predicted (N,) int64, probabilities (N, C) float32,
    classes (C,) str. A row of probabilities that is not finite (a diverged model) has no answer: predicted is −1,
    which is always wrong, and ``ece`` is NaN.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "both"
    paper: ClassVar[str] = (
        "Guo et al. 2017, arXiv:1706.04599 (ECE); Matthews 1975, doi:10.1016/0005-2795(75)90109-9 (MCC)"
    )
    equation: ClassVar[str] = """
        accuracy = (1/N) Σᵢ [ŷᵢ = yᵢ]; macro_f1 = (1/C) Σ_c 2TP_c / (2TP_c + FP_c + FN_c), 0 where a class is neither
        present nor predicted; mcc = cov(ŷ, y) / √(cov(ŷ, ŷ) cov(y, y)), 0 where one of them is constant;
        ece = Σ_b (n_b / N) |accuracy_b − mean confidence_b| over equal-width bins b of max_c p(c);
        majority_share = max_c #{i: ŷᵢ = c} / N.
    """
    changes: ClassVar[str] = "Nothing: it reads the test split."
    cost: ClassVar[str] = "One forward pass over the test split, shared with other probes of the subject."
    departures: ClassVar[str] = "ECE bins are (lower, upper] of [0, 1], as in Guo et al., with M = 15."
    pitfalls: ClassVar[str] = """
        ECE falls when the number of bins does, and is biased upwards when texts are few. majority_share near 1 means
        that the model collapsed: its robustness numbers then look perfect and mean nothing.
    """

    bins: Annotated[int, Field(ge=1, description="equal-width confidence bins of the calibration error")] = 15

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the five numbers, each over all N test examples."""
        examples = context.dataset.test
        probabilities = subject.predict(examples)
        labels = np.array([example.label for example in examples], dtype=np.int64)
        predicted = answers(probabilities)
        np.savez_compressed(
            context.folder / "predictions.npz",
            example=np.array([example.id for example in examples]),
            label=labels,
            predicted=predicted,
            probabilities=probabilities.astype(np.float32),
            classes=np.array(subject.classes),
        )
        n = len(examples)
        every = range(len(subject.classes))
        f1 = f1_score(labels, predicted, labels=list(every), average="macro", zero_division=0.0)
        majority = np.unique(predicted, return_counts=True)[1].max() / n
        calibration = expected_calibration_error(probabilities, labels, self.bins)
        # scikit-learn gives 0 there too, and warns where both hold one and the same class.
        constant = np.ptp(labels) == 0 or np.ptp(predicted) == 0
        correlation = 0.0 if constant else float(matthews_corrcoef(labels, predicted))
        return [
            Measurement("accuracy", float(accuracy_score(labels, predicted)), "share", "higher", {}, n, n),
            Measurement("macro_f1", float(f1), "share", "higher", {}, n, n),
            Measurement("mcc", correlation, "correlation", "higher", {}, n, n),
            Measurement("ece", calibration, "share", "lower", {}, n, n),
            Measurement("majority_share", float(majority), "share", "neither", {}, n, n),
        ]


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Return Σ_b (n_b / N) |accuracy_b − confidence_b|, bins (b/M, (b+1)/M] of max_c p(c); NaN if a p is not finite.

    Args:
        probabilities: (N, C), rows sum to 1.
        labels: (N,) right classes.
        bins: M, the number of equal-width bins.
    """
    if not np.isfinite(probabilities).all():
        return float("nan")
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    upper = np.arange(1, bins + 1) / bins
    member = np.minimum(np.searchsorted(upper, confidence), bins - 1)
    gaps = np.bincount(member, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
