"""What the head answers in every step: predicted classes, entropy, logits; whether it has learned anything at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.monitors.base import Monitor, Step
from stabbench.records import Measurement

IGNORED = -100
"""Label of a token that is not scored."""


@dataclass(kw_only=True)
class Outputs(Monitor):
    """Records every step's predicted-class shares, softmax entropy, largest logit and log Z, on the training batch.

    Arrays in ``trace.npz`` (T steps, C classes), float32: predicted_share (T, C), label_share (T, C), entropy (T,) mean
    softmax entropy in nats, max_logit (T,) of |logit|, log_z (T,) mean of log Σ exp logit. A row of logits that is not
    finite has no class, so shares may sum to less than 1. A regression (one output, real labels) has max_logit alone.

    Measured over trailing windows: ``train.plateau``, the share of windows in which the mean cross-entropy is at least
    `plateau` × H, with H the entropy of all training labels seen (what guessing by prior gives), and
    ``train.collapse``, the share of windows in which one class is predicted for at least `collapse` of the examples
    while no class has more than `balanced` of the labels; ``train.max_logit`` is the largest |logit| of all steps.
    """

    paper = "prediction shares and entropies per step as logged by Mosbach et al. (2021), arXiv:2006.04884"
    equation = (
        "H = −Σ_c π_c ln π_c;  plateau: mean_w(CE) ≥ 0.97 H;  collapse: max_c mean_w(ŷ = c) ≥ 0.95;  Z = Σ_c e^{f_c}"
    )
    changes = "nothing"
    cost = "a few operations on the logits"
    departures = "thresholds and windows are ours; no source gives them"
    pitfalls = "with label smoothing, mixed labels or few examples per window H is not the loss of a guess"

    window: Annotated[int, Field(ge=1, description="steps of a trailing window")] = 10
    plateau: Annotated[float, Field(gt=0, description="share of H from which a window's loss is a guess's")] = 0.97
    collapse: Annotated[float, Field(gt=0, le=1, description="share of one predicted class that is a collapse")] = 0.95
    balanced: Annotated[float, Field(gt=0, le=1, description="label share above which one class is no collapse")] = 0.8

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Begin."""
        self._rows: list[Tensor] = []
        self._losses: list[Tensor] = []
        self._largest: list[Tensor] = []
        self._examples = 0

    def observe(self, step: Step) -> None:
        """Reduce the step's logits to a row of numbers, on the device."""
        logits = step.logits.flatten(0, -2).float()
        self._largest.append(logits.abs().max())
        if logits.shape[-1] < 2:
            return
        labels = torch.cat([batch.labels.flatten() for batch in step.batches if batch.labels is not None])
        scored = labels != IGNORED
        self._rows.append(_row(logits, labels, scored))
        self._losses.append(step.cross_entropy)
        self._examples += len(labels)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        largest = {"max_logit": torch.stack(self._largest).cpu().numpy()}
        if not self._rows:
            return largest
        rows = torch.stack(self._rows).cpu().numpy()
        classes = (rows.shape[1] - 2) // 2
        return {
            **largest,
            "predicted_share": rows[:, :classes],
            "label_share": rows[:, classes : 2 * classes],
            "entropy": rows[:, -2],
            "log_z": rows[:, -1],
        }

    def measurements(self) -> list[Measurement]:
        """Return the numbers named in the class docstring; n counts steps."""
        arrays, n = self.arrays(), len(self._largest)
        largest = Measurement("train.max_logit", float(arrays["max_logit"].max()), "logit", "neither", {}, n, n)
        if not self._rows:
            return [largest]
        losses = torch.stack(self._losses).float().cpu().numpy()
        predicted, labels = arrays["predicted_share"], arrays["label_share"]
        plateau = plateau_share(losses, labels, self.window, self.plateau)
        collapse = collapse_share(predicted, labels, self.window, self.collapse, self.balanced)
        return [
            Measurement("train.plateau", plateau, "share", "lower", {}, n, n),
            Measurement("train.collapse", collapse, "share", "lower", {}, n, n),
            largest,
        ]


def _row(logits: Tensor, labels: Tensor, scored: Tensor) -> Tensor:
    """Return (2C + 2,): predicted shares, label shares, mean entropy, mean log Z over the scored rows."""
    weight = scored.to(logits.dtype).unsqueeze(1)
    classes = torch.arange(logits.shape[-1], device=logits.device)
    finite = logits.isfinite().all(dim=1, keepdim=True)
    log_z = logits.logsumexp(dim=1)
    logs = logits - log_z.unsqueeze(1)
    columns = [
        (logits.argmax(dim=1, keepdim=True) == classes) & finite,
        labels.unsqueeze(1) == classes,
        -(logs.exp() * logs).sum(dim=1, keepdim=True),
        log_z.unsqueeze(1),
    ]
    table = torch.cat([column.to(logits.dtype) for column in columns], dim=1)
    # Rows that are not scored are left out even where they are not finite, which a product with 0 would not do.
    return torch.where(scored.unsqueeze(1), table, 0.0).sum(dim=0) / weight.sum()


def plateau_share(losses: np.ndarray, label_share: np.ndarray, window: int, share: float) -> float:
    """Return the share of trailing windows whose mean loss is ≥ `share` × H, or not finite.

    Args:
        losses: (T,) cross-entropies.
        label_share: (T, C) label shares of the batches; H is the entropy of their mean, in nats.
        window: steps; shorter runs are one window.
        share: of H.
    """
    prior = label_share.mean(axis=0)
    entropy = -float(np.sum(prior[prior > 0] * np.log(prior[prior > 0])))
    return float((~(windows(losses, window) < share * entropy)).mean())


def collapse_share(predicted: np.ndarray, labels: np.ndarray, window: int, collapsed: float, balanced: float) -> float:
    """Return the share of trailing windows in which one class is predicted for ≥ `collapsed` of the examples.

    Windows in which one class has more than `balanced` of the labels do not count as collapsed.

    Args:
        predicted: (T, C) shares of predicted classes per step.
        labels: (T, C) shares of labels.
        window: steps; shorter runs are one window.
        collapsed: share from which one predicted class is a collapse.
        balanced: share above which one class of the labels makes it none.
    """
    one = windows(predicted, window).max(axis=-1) >= collapsed - 1e-6
    return float((one & (windows(labels, window).max(axis=-1) <= balanced)).mean())


def windows(values: np.ndarray, window: int) -> np.ndarray:
    """Return the means over every run of `window` steps of (T, …) values: (max(1, T − window + 1), …)."""
    width = min(window, len(values))
    means: np.ndarray = np.lib.stride_tricks.sliding_window_view(values.astype(float), width, axis=0).mean(axis=-1)
    return means
