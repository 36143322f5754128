"""What training cost in each arm: steps, passes made, seconds per step against the reference; and the weights kept."""

from __future__ import annotations

import math
from collections.abc import Iterable

from stabbench.records import DENSE
from stabbench.report.data import Cell, Table, text_cell
from stabbench.report.numbers import fixed, milliseconds, significant
from stabbench.report.source import Source

HEAD = ("variant", "steps", "forward / step", "backward / step", "ms / step", "× reference", "passes × reference")


def training_cost(source: Source) -> list[Table]:
    """Return the table of what training cost, or none where it was not measured.

    Time ratios are geometric means over the seeds that both arms have: the machine's mood at a seed meets both.
    """
    if not any(source.by_seed("train.step_seconds", variant) for variant in source.variants):
        return []
    reference = source.variants[0]
    total = _total(source, reference)
    rows = []
    for variant in source.variants:
        seconds = source.by_seed("train.step_seconds", variant)
        forward, backward, steps = (_mean(values) for values in _passes(source, variant))
        ratio = step_ratio(source, variant, reference)
        mine = _total(source, variant)
        spent = mine / total if mine is not None and total else None
        middle = _mean(seconds.values())
        rows.append(
            [
                text_cell(variant),
                Cell(significant(steps), steps),
                Cell(significant(forward), forward),
                Cell(significant(backward), backward),
                Cell(milliseconds(middle), middle),
                Cell(fixed(ratio, 2), ratio),
                Cell(fixed(spent, 2), spent),
            ]
        )
    note = (
        "Passes are counted in the training; means over seeds. Times of a step leave evaluations out; the ratio is the "
        "geometric mean over seeds, and counts milliseconds of a machine that may have been busy: passes are the same "
        "everywhere. Passes × reference: all of training."
    )
    return [Table("What training cost", HEAD, rows, note)]


def step_ratio(source: Source, variant: str, reference: str) -> float | None:
    """Return the geometric mean over common seeds of seconds per step against the reference's, or None."""
    mine, its = (source.by_seed("train.step_seconds", name) for name in (variant, reference))
    logs = [math.log(mine[seed] / its[seed]) for seed in mine if seed in its and mine[seed] > 0 and its[seed] > 0]
    return math.exp(math.fsum(logs) / len(logs)) if logs else None


def checkpoint_notes(source: Source) -> list[str]:
    """Say for every arm that looked at the validation split which weights it kept, and how often it stopped early."""
    notes = []
    for variant in source.variants:
        details = [
            stored.details
            for seed in source.seeds
            if (stored := source.run.cell(f"train/{variant}/{seed}")) is not None and "checkpoint" in stored.details
        ]
        if details:
            early = sum(bool(found["stopped_early"]) for found in details)
            best = any(found["checkpoint"] == "best" for found in details)
            kept = "the weights of the best evaluation" if best else "the last weights"
            notes.append(
                f"{variant}: the validation split was looked at after each epoch; {early} of {len(details)} runs "
                f"stopped early; {kept} are measured. The test split was not looked at."
            )
    return notes


def _passes(source: Source, variant: str) -> tuple[list[float], list[float], list[float]]:
    steps = [
        float(row.measurement.n_used)
        for row in source.find("train.step_seconds", variant, DENSE)
        if row.measurement.n_used is not None
    ]
    forward, backward = (source.by_seed(f"train.{kind}_passes", variant) for kind in ("forward", "backward"))
    return list(forward.values()), list(backward.values()), steps


def _total(source: Source, variant: str) -> float | None:
    forward, backward, steps = (_mean(values) for values in _passes(source, variant))
    return None if forward is None or backward is None or steps is None else (forward + backward) * steps


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None
