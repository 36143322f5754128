"""What the gradients say of clipping, learning rate and batch size."""

from __future__ import annotations

import math

import numpy as np

from stabbench.diagnosis import remedies
from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import GRADIENTS, Evidence, Remedy
from stabbench.diagnosis.rules.base import Sighting, TrialRule, digits
from stabbench.diagnosis.signals import Signals

ALWAYS = 0.95
FAR_BELOW = 0.5
"""Median clip factor below which the bound is far under the scale of the gradients."""
OPPOSED = -0.2
"""Median cosine of successive gradients below which steps undo each other."""
FEWEST = 8
"""Measurements of signal and noise below which their ratio says nothing."""
CHANCE = 0.01
"""Sign test, one-sided: the probability that so many cosines are negative where none is by nature."""
NOISY = 10.0
"""Noise scale over batch size from which a batch's gradient is mostly noise."""
HARDLY, STUCK = 0.8, 0.97
"""Shares of H between which a run learns, but hardly. Above, there is no signal that a larger batch could bring out."""


def _always_clipped(s: Signals, arm: Arm) -> Sighting | None:
    clips = [name for name in remedies.CLIPS if name in arm.stabilizers]
    known = np.isfinite(s.norm) & np.isfinite(s.applied) & (s.norm > 0)
    if not clips or not known.any():
        return None
    factors = s.applied[known] / s.norm[known]
    rate, factor = float((factors < 1 - 1e-4).mean()), float(np.median(factors))
    if not (rate >= ALWAYS and factor <= FAR_BELOW):
        return None
    median = float(np.median(s.norm[known]))
    evidence = Evidence(
        f"{rate:.0%} of the steps are clipped, by half of them to {digits(factor)} of their norm or less; the median "
        f"raw norm is {digits(median)}",
        {"clip_rate": rate, "clip_factor": factor, "raw_norm": median},
        (0, s.steps - 1),
        figure=GRADIENTS,
    )
    scale = float(f"{median:.2g}")
    fitting = [
        Remedy(f"raise the bound to the median norm, {scale:g}", add={"clip_grad_norm": {"max_norm": scale}})
        if name == "clip_grad_norm"
        else Remedy(f"raise the bound of {name}")
        for name in clips
    ]
    adaptive = Remedy("clip at a percentile of the norms seen", add={"auto_clip": {}}, remove=tuple(clips))
    return Sighting(
        [evidence],
        [
            *fitting,
            None if "auto_clip" in clips else adaptive,
            *remedies.without(arm, clips, "a factor that is always there only scales the step"),
            Remedy("take means, not sums, over the batch in losses of your own"),
        ],
    )


ALWAYS_CLIPPED = TrialRule(
    "always-clipped",
    8,
    "the gradient is clipped at every step, far below its scale",
    "the bound is far below the scale of the gradients: with Adam it does nothing but hide spikes, else it shrinks the "
    "learning rate",
    _always_clipped,
    ("cross_entropy", "raw_norm", "applied_norm"),
)


def _opposing(s: Signals, arm: Arm) -> Sighting | None:
    cosine = s.trace["gradient_cosine"].astype(float)
    known = np.isfinite(cosine)
    if not known.any():
        return None
    median, negative = float(np.median(cosine[known])), float((cosine[known] < 0).mean())
    pairs, below = int(known.sum()), int((cosine[known] < 0).sum())
    p = sum(math.comb(pairs, k) for k in range(below, pairs + 1)) / 2**pairs
    if not (median <= OPPOSED and p < CHANCE):
        return None
    steps = s.trace["cosine_step"][known]
    evidence = Evidence(
        f"the cosine of successive gradients has the median {median:.2f} over {pairs} pairs, {negative:.0%} of "
        f"them below 0 (sign test p = {digits(p)})",
        {"cosine": median, "negative": negative, "pairs": float(pairs), "p": p},
        (int(steps[0]), int(steps[-1])),
    )
    return Sighting(
        [evidence],
        [
            remedies.lower_rate(arm),
            remedies.add(arm, "ema", "average the weights"),
            remedies.optimizer(arm, "schedule_free", "an optimizer that averages its iterates: schedule_free"),
            remedies.optimizer(arm, "schedule-free", "an optimizer that averages its iterates: schedule-free"),
        ],
    )


OPPOSING = TrialRule(
    "opposing-gradients",
    12,
    "successive gradients point against each other",
    "the learning rate is above the edge of stability: each step overshoots and the next undoes it",
    _opposing,
    ("cross_entropy", "raw_norm", "gradient_cosine"),
    ("not-finite", "front-loaded", "collapsed"),
)


def _batch_too_small(s: Signals, arm: Arm) -> Sighting | None:
    signal, noise, sizes = (s.trace[f"noise_{name}"].astype(float) for name in ("signal", "trace", "batch"))
    if len(signal) < FEWEST or not np.isfinite([signal, noise]).all():
        return None
    if not HARDLY * s.chance <= s.final < STUCK * s.chance or not signal.sum() > 0:
        return None
    batch = float(np.median(sizes))
    halves = [_scale(a, b) for a, b in zip(np.array_split(signal, 2), np.array_split(noise, 2), strict=True)]
    if not min(halves) >= NOISY * batch:
        return None
    whole = _scale(signal, noise)
    steps = s.trace["noise_step"]
    evidence = [
        Evidence(
            f"the gradient noise scale is about {digits(whole)} examples, far above the batch of {batch:.0f} in both "
            "halves of the training",
            {"noise_scale": whole, "batch": batch, "measurements": float(len(signal))},
            (int(steps[0]), int(steps[-1])),
        ),
        Evidence(f"the run has hardly learned: last window {s.final / s.chance:.2f} H", {"last": s.final / s.chance}),
    ]
    larger = {"batch_size": int(arm.train["batch_size"]) * 4}
    return Sighting(
        evidence,
        [
            Remedy("four micro-batches per step", {"accumulation": 4}),
            Remedy(f"batches of {larger['batch_size']}", larger),
            remedies.add(arm, "ema", "average the weights"),
            Remedy("more clipping will not help: noise is not made of spikes"),
        ],
    )


def _scale(signal: np.ndarray, noise: np.ndarray) -> float:
    return float(noise.sum() / signal.sum()) if signal.sum() > 0 else math.inf


BATCH_TOO_SMALL = TrialRule(
    "batch-too-small",
    13,
    "the batch is far below the gradient noise scale throughout, and the run hardly learns",
    "the batch is too small: its gradient is mostly noise",
    _batch_too_small,
    ("cross_entropy", "raw_norm", "noise_signal", "noise_trace", "noise_batch"),
    ("not-finite", "never-learned", "front-loaded", "collapsed"),
)
