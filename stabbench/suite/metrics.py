"""The metrics that a claim can be declared on, and which probe makes each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stabbench import registry

# Namespace of a metric → probe that makes it, where they differ.
ACCURACY_METRICS = ("accuracy", "macro_f1", "mcc", "ece", "majority_share")
PROBE_OF_NAMESPACE: Mapping[str, str] = {"throughput": "latency", "memory": "latency"}
ALWAYS = ("train", "seeds")
KNOWN: tuple[str, ...] = (
    *ACCURACY_METRICS,
    "train.failed", "train.seconds", "train.steps_per_second", "train.peak_memory", "train.accuracy_before",
    "train.accuracy_train", "train.gap", "train.step_seconds", "train.forward_passes", "train.backward_passes",
    "gradient.raw_norm", "gradient.applied_norm", "gradient.probe_norm", "gradient.clip_rate", "gradient.spikes",
    "seeds.sd", "seeds.excess_variance", "seeds.disagreement",
    "noise.accuracy", "noise.flip_rate", "noise.mce", "noise.worst_case", "noise.no_op_share",
    "attack.accuracy_under_attack", "attack.success_rate", "attack.words_changed", "attack.queries",
    "attack.model_rows",
    "compression.size", "compression.flip_rate", "compression.label_loyalty",
    "compression.probability_loyalty", "compression.batch_flip_rate",
    "latency.p50", "latency.p90", "latency.p99", "latency.ratio", "throughput.texts", "throughput.tokens",
    "memory.peak",
)  # fmt: skip

# Probe → coordinate of its metrics → the option that lists its values.
COORDINATES: Mapping[str, Mapping[str, str]] = {
    "noise": {"kind": "kinds", "severity": "severities"},
    "attack": {"recipe": "recipes"},
    "latency": {"batch": "batch", "length": "length"},
}
AGGREGATED = ("noise",)
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
