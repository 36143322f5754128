"""The metrics a claim can be about: direction, scale, default margin and what its unit of replication is.

A margin is the largest difference that counts as none. On a log scale it is given as a ratio minus one: 0.05 allows
±ln 1.05. `compare.margins` of a suite replaces it, in the same form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stabbench.records import Direction

Kind = Literal["level", "failure", "spread", "latency"]
Shown = Literal["points", "percent", "plain"]
Secondary = Literal["none", "aggregate", "each", "by_text"]


@dataclass(frozen=True)
class Metric:
    """How one metric is compared.

    Attributes:
        name: as in the measurements.
        label: how a sentence calls it.
        better: which direction is better; with ``neither`` no claim is ever improved or regressed.
        margin: default margin; None: never equivalent.
        kind: ``level`` (paired by seed), ``failure`` (rates), ``spread`` (over seeds), ``latency`` (paired by process).
        scale: ``log``: the effect is ln(candidate/reference).
        shown: how an effect is printed: share × 100, exp(effect) − 1 in percent, or as it is.
        excludes_failed: only seed pairs in which neither run failed are used: a constant model never flips.
        secondary: which secondary claims are made: none, the one at ``{}``, one for each coordinate, or (``by_text``)
            one for each where two checkpoints are compared text by text, else the one at ``{}``.
        counted: what is counted where two checkpoints are compared.
        across_compression: whether dense is also compared with compressed within a variant.
    """

    name: str
    label: str
    better: Direction
    margin: float | None
    kind: Kind = "level"
    scale: Literal["linear", "log"] = "linear"
    shown: Shown = "points"
    excludes_failed: bool = False
    secondary: Secondary = "none"
    across_compression: bool = False
    counted: str = "texts"

    def margin_of(self, margins: Mapping[str, float]) -> float | None:
        """Return the margin on the scale of the effect; `margins` (metric → margin) goes before the default."""
        margin = margins.get(self.name, self.margin)
        return math.log1p(margin) if margin is not None and self.scale == "log" else margin


def _share(
    name: str,
    label: str,
    better: Direction,
    margin: float,
    secondary: Secondary = "aggregate",
    excludes_failed: bool = True,
    across_compression: bool = False,
    counted: str = "texts",
) -> Metric:
    return Metric(
        name,
        label,
        better,
        margin,
        excludes_failed=excludes_failed,
        secondary=secondary,
        across_compression=across_compression,
        counted=counted,
    )


def _ratio(name: str, label: str, better: Direction, margin: float, kind: Kind = "level") -> Metric:
    return Metric(name, label, better, margin, kind=kind, scale="log", shown="percent")


_ALL = (
    _share("accuracy", "accuracy", "higher", 0.01, excludes_failed=False, across_compression=True),
    _share("macro_f1", "macro-F1", "higher", 0.01, excludes_failed=False),
    Metric("mcc", "Matthews correlation", "higher", 0.02, shown="plain", secondary="aggregate"),
    Metric("spearman", "Spearman correlation", "higher", 0.01, shown="plain", secondary="aggregate"),
    _share("entity_f1", "entity F1", "higher", 0.01, excludes_failed=False),
    _share("ece", "calibration error", "lower", 0.01, excludes_failed=False),
    _share("majority_share", "majority share", "neither", 0.05, secondary="none", excludes_failed=False),
    Metric("train.failed", "failed runs", "lower", 0.10, kind="failure", secondary="aggregate"),
    _share("train.gap", "train/test gap", "lower", 0.02, excludes_failed=False),
    _share("train.accuracy_train", "training accuracy", "neither", 0.01, secondary="none", excludes_failed=False),
    _share("train.accuracy_before", "accuracy before", "neither", 0.01, secondary="none", excludes_failed=False),
    _ratio("train.seconds", "training time", "lower", 0.05),
    _ratio("train.steps_per_second", "training speed", "higher", 0.05),
    _ratio("train.step_seconds", "time of a step", "lower", 0.05),
    _ratio("train.forward_passes", "forward passes per step", "lower", 0.05),
    _ratio("train.backward_passes", "backward passes per step", "lower", 0.05),
    _ratio("train.peak_memory", "training memory", "lower", 0.05),
    _ratio("gradient.raw_norm", "raw gradient norm", "neither", 0.10),
    _ratio("gradient.applied_norm", "applied gradient norm", "neither", 0.10),
    _ratio("gradient.probe_norm", "probe gradient norm", "neither", 0.10),
    _share("gradient.clip_rate", "clip rate", "neither", 0.05, secondary="none", excludes_failed=False),
    Metric("gradient.spikes", "gradient spikes", "lower", None, shown="plain"),
    Metric(
        "seeds.sd", "spread over seeds (SD of accuracy)", "lower", 0.25, kind="spread", scale="log", shown="percent",
        secondary="aggregate",
    ),
    Metric(
        "noise.mce", "error under noise (mCE)", "lower", 0.05, scale="log", shown="percent", excludes_failed=True,
        secondary="aggregate",
    ),
    _share("noise.accuracy", "accuracy under noise", "higher", 0.02, across_compression=True),
    _share("noise.flip_rate", "flips under noise", "lower", 0.02),
    _share("noise.worst_case", "worst case under noise", "higher", 0.02),
    _share("attack.accuracy_under_attack", "accuracy under attack", "higher", 0.05, "each", across_compression=True),
    _share("attack.success_rate", "attack success", "lower", 0.05, "each"),
    Metric("attack.words_changed", "words changed", "higher", 0.05, excludes_failed=True),
    Metric(
        "attack.queries", "queries of an attack", "higher", 0.10, scale="log", shown="percent", excludes_failed=True
    ),
    Metric("attack.words_left", "words left by reduction", "higher", None, shown="plain", excludes_failed=True),
    _share("behavior.failure_rate", "failed behavioural tests", "lower", 0.02, "by_text", counted="cases"),
    _share("replay.clean_accuracy", "accuracy on originals", "higher", 0.02, secondary="none"),
    _share("replay.accuracy", "accuracy on replayed attacks", "higher", 0.02, "by_text"),
    _share("replay.success_rate", "replayed attacks that succeed", "lower", 0.02, "by_text"),
    _share("replay.transfer_rate", "attacks that transfer", "lower", 0.02),
    _share("swaps.probability_gap", "largest gap between groups", "lower", 0.02),
    _share("swaps.accuracy_gap", "accuracy gap between groups", "lower", 0.02, secondary="none"),
    _share("swaps.flip_gap", "flip gap between groups", "lower", 0.02, secondary="none"),
    _share("swaps.flip_rate", "flips by swapped terms", "lower", 0.02, "by_text", counted="sentences"),
    _share("swaps.accuracy", "accuracy with swapped terms", "higher", 0.02, secondary="none"),
    _ratio("compression.size", "size on disk", "lower", 0.05),
    _share("compression.flip_rate", "flips by compression", "lower", 0.01),
    _share("compression.label_loyalty", "label loyalty", "higher", 0.01),
    _share("compression.probability_loyalty", "probability loyalty", "higher", 0.01),
    _share("compression.batch_flip_rate", "flips by batch size", "lower", 0.01),
    _share("compression.negative_flips", "right answers lost", "lower", 0.01, secondary="none"),
    _share("compression.positive_flips", "wrong answers mended", "higher", 0.01, secondary="none"),
    _share("compression.ece_change", "calibration error added", "lower", 0.01, secondary="none"),
    Metric(
        "compression.seed_churn", "flips by compression over those by the seed", "lower", None, shown="plain",
        excludes_failed=True, secondary="aggregate",
    ),
    _share("compression.padding_flip_rate", "flips by padding", "lower", 0.01, secondary="none"),
    _share("compression.nondeterminism", "answers that change when asked again", "lower", 0.01, secondary="none"),
    _share("compression.uncovered_texts", "texts cut otherwise", "lower", 0.01, secondary="none"),
    Metric(
        "latency.ratio", "latency", "lower", 0.05, kind="latency", scale="log", shown="percent", secondary="each",
        across_compression=True,
    ),
)  # fmt: skip
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
_SAME_CLAIM = {"latency.p50": "latency.ratio"}


def metric_named(name: str, better: Direction = "neither") -> Metric:
    """Return how a metric is compared; one that is not in the table is paired by seed, without a margin.

    Args:
        name: a metric; ``latency.p50`` is claimed as ``latency.ratio``, since ratios decide and not milliseconds.
        better: direction of its measurements, used where the table does not know the metric.
    """
    known = METRICS.get(_SAME_CLAIM.get(name, name))
    return Metric(name, name, better, None, shown="plain") if known is None else known
