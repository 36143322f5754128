"""What was found about finished checkpoints, as one table: one line per question, one column per checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stabbench.records import DENSE, Coordinate, Measurement, Row, finite

GUARD = ("accuracy", "macro_f1", "majority_share", "mcc", "ece")
TOLD: Mapping[str, str] = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "majority_share": "commonest answer",
    "mcc": "Matthews correlation",
    "ece": "calibration error",
    "noise.accuracy": "accuracy under noise",
    "noise.flip_rate": "answers flipped by noise",
    "noise.worst_case": "right under all noise",
    "attack.clean_accuracy": "accuracy on the attacked texts",
    "attack.accuracy_under_attack": "accuracy under attack",
    "attack.success_rate": "attack success",
    "attack.words_left": "words left by reduction",
    "behavior.failure_rate": "behavioural tests failed",
}
"""Metric → what it is called; other metrics go by their names."""
LEFT_OUT = (
    "noise.no_op_share", "attack.accuracy_at_budget", "attack.words_changed", "attack.queries", "attack.model_rows",
    "attack.clean_accuracy",
)  # fmt: skip
"""Metrics that stand in the sections below, not in the summary."""
MOST_PLACES = 24
"""A metric with more places than this is told by its values over all of them, where it has such."""


@dataclass(frozen=True)
class Finding:
    """One line: what was asked, and what each checkpoint got.

    Attributes:
        group: ``answers``, ``noise``, ``attacks``, or the probe's name.
        what: the question in words.
        metric: the metric behind it.
        at: its place.
        values: variant → measurement; a variant without one was not measured.
    """

    group: str
    what: str
    metric: str
    at: Mapping[str, Coordinate]
    values: Mapping[str, Measurement]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = {
            variant: {"value": finite(m.value), "n_used": m.n_used, "n_planned": m.n_planned, "status": m.status}
            for variant, m in self.values.items()
        }
        first = next(iter(self.values.values()))
        told = {"group": self.group, "what": self.what, "metric": self.metric, "at": dict(self.at)}
        return {**told, "unit": first.unit, "better": first.better, "values": values}


GROUPS = {"accuracy": "answers", "attack": "attacks"}


def findings(rows: Sequence[Row], variants: Sequence[str]) -> list[Finding]:
    """Return the lines of the summary, in the order of the probes; uncompressed models only.

    Args:
        rows: all measurements.
        variants: the checkpoints.
    """
    table: dict[tuple[str, str], dict[str, tuple[Mapping[str, Coordinate], dict[str, Measurement]]]] = {}
    for row in rows:
        m = row.measurement
        if row.compression == DENSE and row.variant in variants and m.metric not in LEFT_OUT and m.status != "error":
            places = table.setdefault((row.probe, m.metric), {})
            places.setdefault(repr(sorted(m.at.items())), (m.at, {}))[1][row.variant] = m
    # A probe that tells whole numbers is told by them; its places stand in its own section.
    whole = {probe for (probe, _), places in table.items() if any(not at for at, _ in places.values())}
    found = []
    for (probe, metric), places in table.items():
        if probe in whole and all(at for at, _ in places.values()):
            continue
        found += [
            Finding(GROUPS.get(probe, probe), _words(metric, at), metric, at, values)
            for at, values in _shown(list(places.values()))
        ]
    return found


Places = list[tuple[Mapping[str, Coordinate], dict[str, Measurement]]]


def _shown(places: Places) -> Iterator[tuple[Mapping[str, Coordinate], dict[str, Measurement]]]:
    """Yield the value over all places where there is one, else each place."""
    whole = [entry for entry in places if not entry[0]]
    yield from whole or places[:MOST_PLACES]


def _words(metric: str, at: Mapping[str, Coordinate]) -> str:
    probe, _, rest = metric.partition(".")
    name = TOLD.get(metric) or (f"{probe}: {rest.replace('_', ' ')}" if rest else metric)
    place = ", ".join(str(value) if isinstance(value, str) else f"{key} {value}" for key, value in at.items())
    return f"{name}: {place}" if place else name
