"""Which runs may be compared: what measures must be equal, what is measured may differ.

A check that is too strict gets switched off (research/experience.md §1c), so three cases are told apart:

- *refused*: the numbers would be about different things: another task or failed-run metric, other test examples.
- *blocked*: one probe measures otherwise than it did (its version, its options, the versions of what it uses), or, for
  latency alone, the hardware is another: the claims on that probe's metrics are not comparable, all others are.
- *noted*: everything that may well be what is being compared, or moves results a little: the variants' settings, the
  model, the training data, library versions, precision, device, instruction set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stabbench.suite.metrics import probe_of

SHOWN = 60


@dataclass(frozen=True)
class Differences:
    """What two runs differ in.

    Attributes:
        refused: fields that forbid the comparison.
        blocked: probe → fields that forbid the claims on its metrics.
        notes: fields that are told and forbid nothing.
    """

    refused: tuple[str, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def blocks(self, metric: str) -> str:
        """Return why no claim can be made on a metric; empty where one can. Spread is measured on accuracy."""
        probe = "accuracy" if metric == "seeds.sd" else probe_of(metric)
        return self.blocked.get(probe, "")


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Differences:
    """Return what the facts of two runs (`execution.facts`) differ in; facts that either lacks are not compared."""
    missing = [name for name, facts in (("reference", then), ("candidate", now)) if not facts]
    if missing:
        said = "the run does not record what it was made from; run its suite again to have it checked"
        return Differences(notes=tuple(f"{name}: {said}" for name in missing))
    return Differences(
        refused=tuple(_refused(then, now)), blocked=dict(_blocked(then, now)), notes=tuple(_noted(then, now))
    )


def _refused(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    yield from _changed("task", then.get("task"), now.get("task"))
    if then.get("test") and now.get("test"):
        if then["test"] != now["test"]:
            yield f"test examples: {then['test']} then, {now['test']} now"
    elif then.get("data") != now.get("data"):
        # Without the examples themselves only the fingerprint of all data can vouch for them.
        yield f"data fingerprint: {then.get('data')} then, {now.get('data')} now"


def _blocked(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    before, after = then.get("probes", {}), now.get("probes", {})
    for probe in before.keys() & after.keys():
        found = list(_changed(f"probe {probe}", before[probe], after[probe]))
        if probe == "latency" and then.get("hardware") != now.get("hardware"):
            found.append(f"hardware: {then.get('hardware')} then, {now.get('hardware')} now")
        if found:
            yield probe, "; ".join(found)


def _noted(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if then.get("data") != now.get("data") and then.get("test") and then["test"] == now.get("test"):
        yield "training or validation data: they differ, the test examples are the same"
    for name in ("model", "engine", "device", "precision", "threads", "libraries", "instruction_set", "compressors"):
        yield from _changed(name, then.get(name), now.get(name))


def settings_changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what of the variants' settings is another, for the variants that both runs have."""
    common = [name for name in then if name in now]
    return [text for name in common for text in _changed(f"variants.{name}", then[name], now[name])]


def _changed(name: str, then: Any, now: Any) -> Iterator[str]:
    """Yield ``name: OLD then, NEW now`` for each leaf that differs; lists are compared whole."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted({*then, *now}):
            yield from _changed(f"{name}.{key}", then.get(key), now.get(key))
    elif then != now:
        yield f"{name}: {_shown(then)} then, {_shown(now)} now"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Return the streams in which two trials' hashes differ; epochs are compared over those that both have."""
    streams = [name for name in ("init", "dropout") if first[name] != second[name]]
    both = min(len(first["order"]), len(second["order"]))
    return streams + (["order"] if first["order"][:both] != second["order"][:both] else [])


def unmatched(then: Mapping[str, Any], now: Mapping[str, Any], seeds: Sequence[str]) -> dict[str, list[str]]:
    """Return stream → seeds in which one variant's trials of two runs have different hashes.

    Args:
        then: seed → hashes of the trial in the reference run.
        now: the same in the candidate run.
        seeds: those that are paired.
    """
    found: dict[str, list[str]] = {}
    for seed in seeds:
        if seed in then and seed in now:
            for stream in differing(then[seed], now[seed]):
                found.setdefault(stream, []).append(seed)
    return found


def same_weights(then: Mapping[str, Any], now: Mapping[str, Any], seeds: Sequence[str]) -> bool:
    """Return whether both runs trained the very same weights, bit for bit, for every one of these seeds."""
    pairs = [(then.get(seed, {}).get("weights"), now.get(seed, {}).get("weights")) for seed in seeds]
    return bool(pairs) and all(first is not None and first == second for first, second in pairs)
