"""Runs that end at the loss of a guess: from the start, after having learned, or driven there by the first steps."""

from __future__ import annotations

import math

import numpy as np

from stabbench.diagnosis import remedies
from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import GRADIENTS, PROBE, Evidence, Remedy
from stabbench.diagnosis.rules.base import Sighting, TrialRule, digits
from stabbench.diagnosis.signals import LEARNED, Signals, thirds

VANISHING = 3.0
"""The bottom's share of the gradient falls by this factor from the first third to the last. Ours: in failed runs of
MiniLM on 400 sentences it fell 8- to 1000-fold, in sound ones it rose."""
BARELY = 1e-4
"""Largest update ratio of all blocks and measurements below which nothing has moved."""
FRONT = 3.0
"""How much more the first update moves the bottom block than the last, both per unit of learning rate. Ours: 6 to 400
in failed runs without bias correction, about 1 in runs of the same arm that learned."""
UNCORRECTED_RMS = 5.0
"""Adam's RMS_t at the first step from which the bias correction must be missing; 1 with it, 1/√(1 − β₂) without."""


def _never_learned(s: Signals, arm: Arm) -> Sighting | None:
    if not s.trial.failed or s.learned_at is not None or not np.isfinite(s.loss).all():
        return None
    lowest = float(s.smooth.min()) / s.chance
    evidence = [
        Evidence(
            f"the loss never leaves that of a guess, H = {s.chance:.3f}: the lowest mean over {s.window} steps is "
            f"{lowest:.2f} H, the last {s.final / s.chance:.2f} H",
            {"entropy": s.chance, "lowest_share": lowest, "last_share": s.final / s.chance},
            (0, s.steps - 1),
            figure=GRADIENTS,
        ),
        *_one_class(s),
    ]
    moved = _largest_update(s)
    if moved < BARELY:
        text = f"the largest update of any block is {digits(moved)} of its weights"
        evidence.append(Evidence(text, {"update_ratio": moved}))
        cause = "the weights hardly move: the learning rate is too low or the training too short"
        return Sighting(evidence, [remedies.higher_rate(arm, 10.0), remedies.longer(arm)], cause)
    if not s.at_chance:
        cause = "the loss has only begun to fall: the training is too short, or the learning rate too low"
        return Sighting(evidence, [remedies.longer(arm), remedies.higher_rate(arm, 2.0)], cause)
    vanishing = _vanishing(s)
    if vanishing is None:
        cause = (
            "optimisation failure without vanishing gradients: steps too large for this model, or labels that the "
            "texts do not tell"
        )
        return Sighting(evidence, _restart(arm), cause)
    return Sighting([*evidence, vanishing], _restart(arm))


def _largest_update(s: Signals) -> float:
    """Return the largest update ratio of all blocks and measurements; infinite where none was made."""
    return float(np.nanmax(s.trace["update_ratio"])) if s.has("update_ratio") else math.inf


def _one_class(s: Signals) -> list[Evidence]:
    """How often one class is predicted: on the training batches, else on the test split."""
    if s.has("predicted_share"):
        last = s.trace["predicted_share"][-s.window :].mean(axis=0)
        share, where = float(last.max()), f"of the last {s.window} batches"
    elif s.trial.predicted is not None and len(s.trial.predicted):
        share, where = (
            float(np.unique(s.trial.predicted, return_counts=True)[1].max() / len(s.trial.predicted)),
            ("of the test split"),
        )
    else:
        return []
    return [Evidence(f"one class is predicted for {share:.0%} {where}", {"predicted_share": share})]


def _vanishing(s: Signals) -> Evidence | None:
    first, _, last = thirds(s.bottom_to_top)
    probed = s.has("probe_norm") and len(s.trace["probe_norm"]) > 1
    probe = s.block("probe_norm", s.bottom)[[0, -1]] if probed else np.array([math.nan, math.nan])
    if not (last < first / VANISHING or probe[1] < probe[0] / VANISHING):
        return None
    return Evidence(
        f"the gradient vanishes towards the bottom: ‖g‖ of {s.bottom} over that of the head falls from "
        f"{digits(first)} (first third) to {digits(last)} (last third); the probe gradient of {s.bottom} goes "
        f"from {digits(float(probe[0]))} to {digits(float(probe[1]))}",
        {"ratio_first": first, "ratio_last": last, "probe_first": float(probe[0]), "probe_last": float(probe[1])},
        (0, s.steps - 1),
        (s.bottom, s.blocks[-1]),
        PROBE if last >= first / VANISHING else GRADIENTS,
    )


def _restart(arm: Arm) -> list[Remedy | None]:
    why = "train on plain cross-entropy until the loss has left that of a guess"
    return [
        remedies.corrected(arm),
        remedies.lower_rate(arm),
        remedies.warmup(arm),
        remedies.longer(arm),
        remedies.add(arm, "reinit_layers", "draw the top layers anew"),
        *remedies.without(arm, remedies.OBJECTIVES, why),
    ]


NEVER_LEARNED = TrialRule(
    "never-learned",
    1,
    "a failed run whose loss stays at the entropy of the labels from the first step on",
    "optimisation failure: the gradient vanishes below the top layers, so that the encoder stops learning",
    _never_learned,
    unless=("not-finite",),
)


def _front_loaded(s: Signals, arm: Arm) -> Sighting | None:
    uncorrected = arm.train["optimizer"] in remedies.UNCORRECTED
    if not s.trial.failed or s.learned_at is not None or not (uncorrected or "warmup" not in arm.stabilizers):
        return None
    if not np.isfinite(s.loss).all() or not s.at_chance or len(s.trace["update_step"]) < 2:
        return None
    if _largest_update(s) < BARELY:
        return None
    steps, moves = s.trace["update_step"], s.block("update_ratio", s.bottom)
    rates = s.trace["learning_rate"].astype(float)[steps]
    with np.errstate(divide="ignore", invalid="ignore"):
        per_rate = moves / rates
    ratio = float(per_rate[0] / per_rate[-1]) if per_rate[-1] > 0 else math.inf
    if not (moves[0] >= moves.max() and ratio >= FRONT):
        return None
    evidence = [
        Evidence(
            f"the first update moves {s.bottom} by {digits(float(moves[0]))} of its weights, that of step "
            f"{int(steps[-1])} by {digits(float(moves[-1]))}: {digits(ratio)} times less per unit of learning "
            "rate",
            {"first": float(moves[0]), "last": float(moves[-1]), "ratio": ratio},
            (int(steps[0]), int(steps[-1])),
            (s.bottom,),
        ),
        *_early_drift(s),
        *_first_rms(s),
        Evidence(
            f"after that the loss stays at that of a guess (last window {s.final / s.chance:.2f} H)",
            {"last_share": s.final / s.chance},
            (0, s.steps - 1),
        ),
    ]
    cause = "no warmup: the first steps, at the full learning rate, throw the pretrained weights off"
    if uncorrected:
        cause = (
            "Adam without bias correction takes first steps several times too large, "
            f"{'in spite of a warmup' if 'warmup' in arm.stabilizers else 'and no warmup holds them back'}"
        )
    found = [remedies.corrected_and_warm(arm), remedies.corrected(arm), remedies.warmup(arm), *_restart(arm)[1:]]
    return Sighting(evidence, found, cause)


def _early_drift(s: Signals) -> list[Evidence]:
    if not s.has("drift"):
        return []
    moved, steps = s.block("drift", s.bottom), s.trace["drift_step"]
    early = np.flatnonzero(steps <= max(20, s.steps // 3))
    if not len(early) or not moved[-1] > 0:
        return []
    share, at = float(moved[early[0]] / moved[-1]), int(steps[early[0]])
    text = f"after {at} of {s.steps} steps {s.bottom} has gone {share:.0%} of its whole way"
    return [Evidence(text, {"share": share, "drift": float(moved[-1])}, (0, at - 1), (s.bottom,))]


def _first_rms(s: Signals) -> list[Evidence]:
    if not s.has("adam_rms") or int(s.trace["optimizer_step"][0]) != 0:
        return []
    rms = float(s.block("adam_rms", s.blocks[-1])[0])
    if not rms >= UNCORRECTED_RMS:
        return []
    text = f"at the first step the gradient is {digits(rms)} times the root of Adam's second moment; 1 if corrected"
    return [Evidence(text, {"adam_rms": rms}, (0, 0), (s.blocks[-1],))]


FRONT_LOADED = TrialRule(
    "front-loaded",
    5,
    "the first updates move the weights most, then the run is stuck",
    "missing bias correction or warmup",
    _front_loaded,
    ("cross_entropy", "raw_norm", "update_ratio"),
    ("not-finite",),
)


def _collapsed(s: Signals, arm: Arm) -> Sighting | None:
    if not s.trial.failed or s.learned_at is None or not s.at_chance or not np.isfinite(s.loss).all():
        return None
    below = np.flatnonzero(s.smooth <= LEARNED * s.chance)
    fell = int(below[-1]) + s.window
    low = float(s.smooth.min())
    around = slice(max(0, fell - 2 * s.window), fell + 1)
    peak = int(np.argmax(s.norm[around])) + (around.start or 0)
    evidence = [
        Evidence(
            f"it had learned by step {s.learned_at} (lowest mean loss over {s.window} steps {low:.3f}, "
            f"{low / s.chance:.2f} H), falls back at about step {fell} and stays there: "
            f"the last window has {s.final / s.chance:.2f} H",
            {"learned_at": s.learned_at, "fell_at": fell, "lowest": low, "last_share": s.final / s.chance},
            (s.learned_at, s.steps - 1),
            figure=GRADIENTS,
        ),
        Evidence(
            f"the largest gradient norm around the fall is {digits(float(s.norm[peak]))} at step {peak}, against a "
            f"median of {digits(float(np.median(s.norm)))}",
            {"peak": float(s.norm[peak]), "median": float(np.median(s.norm))},
            (around.start or 0, fell),
            figure=GRADIENTS,
        ),
        *_one_class(s),
    ]
    return Sighting(
        evidence,
        [
            remedies.lower_rate(arm),
            remedies.warmup(arm),
            remedies.add(arm, "zclip", "clip spikes by their z-score"),
            remedies.optimizer(arm, "stable_adamw", "an optimizer that clips its own updates: stable_adamw"),
            remedies.add(arm, "clip_grad_norm", "clip the global norm at 1", max_norm=1.0),
        ],
    )


COLLAPSED = TrialRule(
    "collapsed",
    2,
    "a failed run that learned, then fell back to the entropy of the labels and stayed",
    "a step too large after warmup threw it out of the basin it had found",
    _collapsed,
    unless=("not-finite",),
)
