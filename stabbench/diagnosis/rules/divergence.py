"""Runs that leave the finite numbers, and runs that jump and come back."""

from __future__ import annotations

import math

import numpy as np

from stabbench.diagnosis import remedies
from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import GRADIENTS, Evidence, Remedy
from stabbench.diagnosis.rules.base import Sighting, TrialRule, digits
from stabbench.diagnosis.signals import Signals

SOUND_UPDATE = 0.01
"""An update ratio of this size is of the order that sound fine-tunings begin with."""
HUGE_UPDATE = 0.5
"""A first update that changes half of a block's norm leaves nothing of what was pretrained."""
FALLBACK_RATE = 2e-5
HIGH = 3.0
"""Share of H from which a batch's loss is a spike of the training; in small batches one wrong answer makes less."""
RECOVERED = 1.5
"""Share of the median loss before a spike, below which the median after it has come back."""


def _not_finite(s: Signals, arm: Arm) -> Sighting | None:
    series = [("loss", s.loss), ("gradient", s.norm), ("applied gradient", s.applied)]
    broken = [(int(np.flatnonzero(~np.isfinite(x))[0]), name) for name, x in series if not np.isfinite(x).all()]
    if not broken:
        return None
    first, what = min(broken)
    rows = s.trace["raw_norm"][first]
    blocks = tuple(name for name, norm in zip(s.blocks, rows, strict=True) if not math.isfinite(norm))
    evidence = [
        Evidence(
            f"the {what} is not finite from step {first} on"
            + (f", first in {', '.join(blocks[:4])}{' …' if len(blocks) > 4 else ''}" if blocks else ""),
            {"step": first},
            (first, s.steps - 1),
            blocks,
            GRADIENTS,
        )
    ]
    finite = s.norm[:first][np.isfinite(s.norm[:first])]
    if len(finite):
        text = f"before that the norm goes from {digits(float(finite[0]))} to {digits(float(finite[-1]))}"
        numbers = {"first_norm": float(finite[0]), "last_norm": float(finite[-1])}
        evidence.append(Evidence(text, numbers, (0, first - 1), figure=GRADIENTS))
    moved = _first_update(s)
    huge = moved is not None and not moved < HUGE_UPDATE
    if moved is not None and huge:
        text = f"the first update is {digits(moved)} times the weights it moves"
        evidence.append(Evidence(text, {"update_ratio": moved}, (0, 0)))
    cause = "the steps are far too large: the learning rate is out of range" if huge else ""
    precision = [Remedy("train in fp32", {"precision": "fp32"})] if s.trial.precision != "fp32" else []
    clip = remedies.add(arm, "clip_grad_norm", "clip the global norm at 1", max_norm=1.0)
    rate = _sound_rate(arm, moved) if huge else remedies.lower_rate(arm)
    rest = [*([] if huge else precision), clip, remedies.warmup(arm), *(precision if huge else [])]
    advice = Remedy("look for log(0) in losses of your own, and for masks that leave a text empty")
    return Sighting(evidence, [rate, *rest, advice], cause)


def _first_update(s: Signals) -> float | None:
    """Return the largest update ratio at step 0; infinite where it is not a number."""
    if not s.has("update_ratio") or int(s.trace["update_step"][0]) != 0:
        return None
    row = s.trace["update_ratio"][0].astype(float)
    return float(row.max()) if np.isfinite(row).all() else math.inf


def _sound_rate(arm: Arm, moved: float | None) -> Remedy:
    """Return the rate at which the first update would be sound, by proportion."""
    present = float(arm.train["learning_rate"])
    wanted = present * SOUND_UPDATE / moved if moved is not None and math.isfinite(moved) else FALLBACK_RATE
    return remedies.lower_rate(arm, min(wanted, present / 2) / present)


NOT_FINITE = TrialRule(
    "not-finite",
    4,
    "the loss or a gradient is NaN or infinite",
    "overflow: a number left the range of its precision, or a logarithm of zero",
    _not_finite,
)


def _spike(s: Signals, arm: Arm) -> Sighting | None:
    if s.trial.failed or not np.isfinite(s.loss).all():
        return None
    high = s.trace["loss_spike"] & (s.loss >= HIGH * s.chance)
    found = [step for step in np.flatnonzero(high) if _recovers(s, int(step))]
    if not found:
        return None
    worst = int(max(found, key=lambda step: s.loss[step]))
    before = float(np.median(s.loss[max(0, worst - s.window) : worst]))
    calm = float(np.median(s.norm[max(0, worst - s.window) : worst]))
    top = int(np.argmax(s.trace["raw_norm"][worst]))
    evidence = [
        Evidence(
            f"{len(found)} spike(s); the worst at step {worst}: loss {digits(float(s.loss[worst]))} after a "
            f"median of {digits(before)}, gradient norm {digits(float(s.norm[worst]))} after {digits(calm)}, "
            f"most of it in {s.blocks[top]}; then it recovers",
            {"spikes": len(found), "step": worst, "loss": float(s.loss[worst]), "norm": float(s.norm[worst])},
            (worst, min(worst + s.window, s.steps - 1)),
            (s.blocks[top],),
            GRADIENTS,
        )
    ]
    return Sighting(
        evidence,
        [
            remedies.add(arm, "zclip", "clip spikes by their z-score"),
            remedies.optimizer(arm, "stable_adamw", "an optimizer that clips its own updates: stable_adamw"),
            remedies.add(arm, "clip_grad_norm", "clip the global norm at 1", max_norm=1.0),
            Remedy(f"look at the batch of step {worst}: the order of examples is that of the seed"),
        ],
    )


def _recovers(s: Signals, step: int) -> bool:
    """Whether the norm spikes with the loss, and the median of the losses after is that of those before again."""
    if not s.trace["norm_spike"][max(0, step - 1) : step + 2].any():
        return False
    before, after = s.loss[max(0, step - s.window) : step], s.loss[step + 1 : step + 1 + s.window]
    if len(after) < 3 or not len(before):
        return False
    return float(np.median(after)) <= max(RECOVERED * float(np.median(before)), 0.5 * s.chance)


SPIKE = TrialRule(
    "spike",
    3,
    "loss and gradient norm jump together, and come back",
    "an outlying batch, or a second moment that lags behind the gradients",
    _spike,
    ("cross_entropy", "raw_norm", "loss_spike", "norm_spike"),
    ("not-finite",),
)
