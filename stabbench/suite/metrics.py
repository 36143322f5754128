"""The metrics that a claim can be declared on, and which probe makes each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stabbench import registry

# Namespace of a metric → probe that makes it, where they differ.
ACCURACY_METRICS = ("accuracy", "macro_f1", "mcc", "ece", "majority_share")
PROBE_OF_NAMESPACE: Mapping[str, str] = {
    "throughput": "latency", "memory": "latency", "cost": "latency", "size": "latency",
}  # fmt: skip
ALWAYS = ("train", "seeds")
CHANGE_FROM = "change_from"
"""Coordinate of a claim, never of a measurement: its value is the compression that a change is counted from."""
MATCHED = ("noise.mce",)
"""Metrics that are relative to the reference at the same compression: two compressions have no common scale."""
KNOWN: tuple[str, ...] = (
    *ACCURACY_METRICS,
    "train.failed", "train.seconds", "train.steps_per_second", "train.peak_memory", "train.accuracy_before",
    "train.accuracy_train", "train.gap", "train.step_seconds", "train.forward_passes", "train.backward_passes",
    "gradient.raw_norm", "gradient.applied_norm", "gradient.probe_norm", "gradient.clip_rate", "gradient.spikes",
    "sharpness.sam", "sharpness.largest_eigenvalue",
    "seeds.sd", "seeds.excess_variance", "seeds.disagreement",
    "noise.accuracy", "noise.flip_rate", "noise.mce", "noise.worst_case", "noise.no_op_share",
    "attack.accuracy_under_attack", "attack.success_rate", "attack.words_changed", "attack.queries",
    "attack.model_rows", "attack.words_left",
    "behavior.failure_rate", "replay.clean_accuracy", "replay.accuracy", "replay.success_rate", "replay.transfer_rate",
    "swaps.probability_gap", "swaps.accuracy_gap", "swaps.flip_gap", "swaps.flip_rate", "swaps.accuracy",
    "compression.size", "compression.flip_rate", "compression.label_loyalty",
    "compression.probability_loyalty", "compression.batch_flip_rate", "compression.negative_flips",
    "compression.positive_flips", "compression.ece_change", "compression.seed_churn", "compression.padding_flip_rate",
    "compression.nondeterminism", "compression.uncovered_texts",
    "latency.p50", "latency.p90", "latency.p99", "latency.ratio", "throughput.texts", "throughput.tokens",
    "memory.peak", "cost.cpu_seconds", "cost.macs", "size.part",
)  # fmt: skip

UNDIRECTED = (
    "majority_share", "train.accuracy_before", "train.accuracy_train", "gradient.raw_norm", "gradient.applied_norm",
    "gradient.probe_norm", "gradient.clip_rate",
)  # fmt: skip
"""Metrics of which neither direction is better, so that nothing of them is "worse"."""
OF_GROUPS = ("seeds.sd", "seeds.excess_variance", "seeds.disagreement")
"""Metrics with one figure for a whole group; only of `seeds.sd` two groups can be told apart."""
PANEL_RATIOS = ("latency.ratio", "latency.p50")
"""Metrics of a latency panel that a claim can be about: both name the ratio, since milliseconds decide nothing."""
SHARES = (
    "accuracy", "macro_f1", "ece", "majority_share", "train.failed", "train.accuracy_before", "train.accuracy_train",
    "train.gap", "gradient.clip_rate", "noise.accuracy", "noise.flip_rate", "noise.worst_case", "noise.no_op_share",
    "attack.accuracy_under_attack", "attack.success_rate", "attack.words_changed", "behavior.failure_rate",
    "replay.clean_accuracy", "replay.accuracy", "replay.success_rate", "replay.transfer_rate", "swaps.probability_gap",
    "swaps.accuracy_gap", "swaps.flip_gap", "swaps.flip_rate", "swaps.accuracy", "compression.flip_rate",
    "compression.label_loyalty", "compression.probability_loyalty", "compression.batch_flip_rate",
    "compression.negative_flips", "compression.positive_flips", "compression.ece_change",
    "compression.padding_flip_rate", "compression.nondeterminism", "compression.uncovered_texts",
)  # fmt: skip
"""Metrics between 0 and 1 (the gap: −1 and 1): a limit beyond that was meant in percent."""

# Probe → coordinate of its metrics → the option that lists its values.
COORDINATES: Mapping[str, Mapping[str, str]] = {
    "noise": {"kind": "kinds", "severity": "severities"},
    "attack": {"recipe": "recipes", "constraints": "constraints"},
    "latency": {"batch": "batch", "length": "length"},
}
UNSAID: Mapping[str, str] = {"constraints": "recipe"}
"""Coordinates that a metric does not have where they would have this value."""
AGGREGATED = ("noise", "behavior", "replay", "swaps")
"""Probes whose metrics also have a value over all coordinates, so that a claim need not name one."""


def probe_of(metric: str) -> str:
    """Return the probe that makes a metric; ``train`` for what training reports."""
    if metric in ACCURACY_METRICS:
        return "accuracy"
    namespace = metric.split(".")[0]
    if namespace in ALWAYS:
        return "train"
    return PROBE_OF_NAMESPACE.get(namespace, namespace)


def made_by(probes: Iterable[str]) -> list[str]:
    """Return the known metrics that a suite with these probes makes."""
    present = {*probes, "train"}
    unasked = {
        name for name in registry.names("probes") if registry.card("probes", name).traits["applies"] == "compressed"
    }
    return [metric for metric in KNOWN if probe_of(metric) in present | unasked]


def changes_under_compression(metric: str) -> bool:
    """Return whether a metric has a level both before and after compression, so that the two can be subtracted."""
    return metric.split(".")[0] not in (*ALWAYS, "compression")
