"""What goes on inside the model: pooler, attention, logits."""

from __future__ import annotations

import numpy as np

from stabbench.diagnosis import remedies
from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import GRADIENTS, Evidence, Remedy
from stabbench.diagnosis.rules.base import Sighting, TrialRule, digits
from stabbench.diagnosis.signals import Signals, thirds

SATURATED, ROSE = 0.5, 0.3
"""Share of saturated pooler units at the end, and its rise, from which the path to the encoder is closed."""
SHRANK = 2.0
GREW = 3.0
SHARP = 100.0
"""Bound on the attention logits that softmax turns into a choice of one; pretrained models reach it as a bound, so it
must also have grown. The 10⁴ of Wortsman et al. (2023) is of models trained from scratch."""
CONFIDENT = 8.0
"""Mean log Z of over-confidence: with two logits ±8 a right answer's loss is 10⁻⁷, and nothing is left to learn."""
STILL = 1.5


def _pooler_saturated(s: Signals, arm: Arm) -> Sighting | None:
    shares = s.trace["pooler_saturation"].astype(float)
    began, ended = float(shares[0]), thirds(shares)[2]
    first, _, last = thirds(s.bottom_to_top)
    if not (ended >= SATURATED and ended - began >= ROSE and last < first / SHRANK):
        return None
    steps = s.trace["activation_step"]
    at = int(steps[np.argmax(shares >= SATURATED)])
    evidence = Evidence(
        f"the share of pooler units at |tanh| ≥ 0.99 rises from {began:.0%} to {ended:.0%} (above half from step {at}) "
        f"while ‖g‖ of {s.bottom} over that of the head falls from {digits(first)} to {digits(last)}",
        {"began": began, "ended": ended, "ratio_first": first, "ratio_last": last},
        (at, s.steps - 1),
        ("pooler", s.bottom),
        GRADIENTS,
    )
    return Sighting(
        [evidence],
        [
            remedies.lower_rate(arm),
            remedies.warmup(arm),
            remedies.add(arm, "freeze", "train the head first, the encoder later"),
            remedies.add(arm, "clip_grad_norm", "clip the global norm at 1", max_norm=1.0),
        ],
    )


POOLER_SATURATED = TrialRule(
    "pooler-saturated",
    9,
    "the pooler's tanh saturates while the gradient below it shrinks",
    "head and pooler learn too fast: a saturated tanh passes no gradient to the encoder",
    _pooler_saturated,
    ("cross_entropy", "raw_norm", "pooler_saturation"),
    ("not-finite",),
)


def _attention_grows(s: Signals, arm: Arm) -> Sighting | None:
    bounds = s.trace["attention_bound"].astype(float)
    last = np.array([thirds(column)[2] for column in bounds.T])
    growth = last / bounds[0]
    index = int(np.nanargmax(np.where(last >= SHARP, growth, -1.0)))
    if not (last[index] >= SHARP and growth[index] >= GREW):
        return None
    steps = s.trace["activation_step"]
    evidence = Evidence(
        f"the bound on the attention logits of block {index} grows from {digits(float(bounds[0, index]))} to "
        f"{digits(float(last[index]))}",
        {"began": float(bounds[0, index]), "ended": float(last[index]), "growth": float(growth[index])},
        (int(steps[0]), int(steps[-1])),
        (f"block.{index}",),
    )
    decay = {"weight_decay": max(0.1, 2 * float(arm.train["weight_decay"]))}
    return Sighting(
        [evidence],
        [
            remedies.lower_rate(arm),
            Remedy(f"weight decay {decay['weight_decay']:g}", decay),
            remedies.add(arm, "layerwise_decay", "lower learning rates further down"),
        ],
    )


ATTENTION_GROWS = TrialRule(
    "attention-grows",
    10,
    "attention logits grow until softmax picks one token",
    "the learning rate is too high for queries and keys",
    _attention_grows,
    ("cross_entropy", "raw_norm", "attention_bound"),
    ("not-finite",),
)


def _logits_drift(s: Signals, arm: Arm) -> Sighting | None:
    _, middle, last = thirds(s.trace["log_z"])
    if not (last >= CONFIDENT and last >= STILL * middle):
        return None
    evidence = Evidence(
        f"the mean log Z rises from {digits(middle)} (middle third) to {digits(last)} (last third); the largest "
        f"logit is {digits(float(np.nanmax(s.trace['max_logit'])))}",
        {"middle": middle, "last": last},
        (s.steps // 3, s.steps - 1),
        ("head",),
    )
    smooth = remedies.add(arm, "label_smoothing", "smooth the labels")
    return Sighting([evidence], [smooth, remedies.lower_rate(arm)])


LOGITS_DRIFT = TrialRule(
    "logits-drift",
    11,
    "log Z is large and still rising late in training",
    "over-confidence: cross-entropy goes on pushing logits apart",
    _logits_drift,
    ("cross_entropy", "raw_norm", "log_z", "max_logit"),
    ("not-finite",),
)
