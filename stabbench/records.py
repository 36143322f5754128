"""The plain values that travel between training, probes, the store, claims and the report. Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Direction = Literal["higher", "lower", "neither"]
Status = Literal["ok", "failed-run", "error", "skipped"]
Coordinate = str | int | float

DENSE = "dense"
"""The compression of a trained model that was not compressed."""


@dataclass(frozen=True)
class Measurement:
    """One number measured on one subject, or on a group of them.

    Attributes:
        metric: namespaced name, such as ``noise.accuracy``.
        value: the number; NaN and infinities are data; None is unknown and prints as "–".
        unit: unit of `value`: ``share``, ``seconds``, ``bytes``, ``texts/s``, ``count``, ``norm`` …
        better: which direction is better.
        at: coordinates that tell several values of one metric apart, such as ``{"kind": "keyboard", "severity": 3}``.
        n_used: how many items (examples, steps, rounds) the value rests on.
        n_planned: how many were planned; `n_used` below it means some were skipped or lost.
        status: ``failed-run`` where the subject is a failed run, ``error`` where the cell crashed,
            ``skipped`` where this machine lacks what it needs.
    """

    metric: str
    value: float | None
    unit: str
    better: Direction
    at: Mapping[str, Coordinate] = field(default_factory=dict)
    n_used: int | None = None
    n_planned: int | None = None
    status: Status = "ok"


@dataclass(frozen=True)
class Row:
    """A measurement with the subject it belongs to: one row of ``measurements.parquet``.

    Attributes:
        variant: name of the variant; the *reference* and the candidates are told apart by the suite.
        seed: seed label: ``3``, crossed ``3/1``, or None for a figure of a whole group.
        compression: ``dense`` for the trained model, a chain is ``prune-structured+ort-int8``.
        probe: the probe that measured it; ``train`` for what training itself reports.
        measurement: the number.
    """

    variant: str
    seed: str | None
    compression: str
    probe: str
    measurement: Measurement

    def as_dict(self) -> dict[str, Any]:
        """Return the row with the columns of DESIGN §10, `at` as canonical JSON text."""
        m = self.measurement
        return {
            "variant": self.variant,
            "seed": self.seed,
            "compression": self.compression,
            "probe": self.probe,
            "metric": m.metric,
            "at": canonical(dict(m.at)),
            "value": m.value,
            "unit": m.unit,
            "better": m.better,
            "n_used": m.n_used,
            "n_planned": m.n_planned,
            "status": m.status,
        }


@dataclass(frozen=True)
class Cell:
    """The unit of work, caching and isolation: a trial's training, a probe on one subject, or a panel.

    Attributes:
        id: logical name, stable over runs of one suite: ``train/baseline/3``, ``noise/baseline/3/dense``, ``latency``.
        kind: ``train``, ``probe`` or ``panel``.
        variant: the variant's name; empty for a panel.
        seed: the seed's label; empty for a panel.
        compression: ``dense`` or the name of a chain of compressors; empty for a panel.
        probe: the probe's name; ``train`` for training.
        options: the resolved options of the probe or of the training.
        parents: ids of the train cells whose weights this cell reads, in order.
        static: everything that decides the result and is known before any cell has run; part of the key.
        worker: kind of process the cell runs in: ``torch``, ``attack`` or ``exclusive`` (alone on the machine).
    """

    id: str
    kind: Literal["train", "probe", "panel"]
    variant: str
    seed: str
    compression: str
    probe: str
    options: Mapping[str, Any]
    parents: tuple[str, ...]
    static: Mapping[str, Any]
    worker: Literal["torch", "attack", "exclusive"] = "torch"


def canonical(value: object) -> str:
    """Return JSON text that is equal for equal values: sorted keys, no blanks, NaN and infinities as strings."""
    return json.dumps(finite(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def finite(value: Any) -> Any:
    """Return `value` fit for strict JSON: NaN and infinities become the strings "NaN", "Infinity", "-Infinity"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def number(value: Any) -> float | None:
    """Undo `finite` for one number: return a float (also for "NaN" and "Infinity"), or None for None."""
    return None if value is None else float(value)
