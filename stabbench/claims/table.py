"""Measurements by metric, coordinate and group, and what the suite planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabbench.claims.claim import Group
from stabbench.claims.looks import as_run
from stabbench.records import DENSE, Coordinate, Direction, Measurement, Row, canonical
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import AdaptiveSeeds, SeedsAtLook, Suite

Predictions = Mapping[tuple[str, str, str], tuple[NDArray[np.generic], NDArray[np.generic]]]
"""(variant, seed, compression) → (labels, predicted) on the test split, each of shape (N,)."""


@dataclass(frozen=True)
class Outcome:
    """What one group got on each text, for one metric at one place.

    Attributes:
        texts: (n,) ids of the texts.
        values: (n,) 0 or 1, or a share.
        planned: how many texts were planned.
    """

    texts: NDArray[np.str_]
    values: NDArray[np.float64]
    planned: int

    def by_text(self) -> dict[str, float]:
        """Return text → value."""
        return dict(zip(self.texts.tolist(), self.values.tolist(), strict=True))


Outcomes = Mapping[tuple[str, str, Group], Outcome]
"""(metric, canonical JSON of its coordinates, group) → what the group got on each text."""
SeedOutcomes = Mapping[tuple[str, str, Group, str], Outcome]
"""The same of each seed of a group: (metric, coordinates, group, seed)."""


class Table:
    """Rows of one run, looked up by (metric, at, group).

    Attributes:
        rows: all rows.
        seeds: labels of the seeds the suite planned, in order.
        crossed: whether the seeds are a crossed grid, whose cells share draws and are no independent pairs.
        predictions: answers per text, where they are at hand.
        outcomes: of finished checkpoints, what each got on each text.
        of_seeds: what each seed of a group got on each text, where that is at hand.
        by_text: whether the unit is the text: the suite is of finished checkpoints.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        suite: Suite,
        predictions: Predictions | None = None,
        outcomes: Outcomes | None = None,
        of_seeds: SeedOutcomes | None = None,
    ) -> None:
        self.rows = rows
        self.predictions: Predictions = predictions or {}
        self.outcomes: Outcomes = outcomes or {}
        self.of_seeds: SeedOutcomes = of_seeds or {}
        self.by_text = suite.of_checkpoints
        self.seeds = planned_seeds(as_run(suite, rows))
        self.crossed = any("/" in seed for seed in self.seeds)
        self._cells: dict[tuple[str, str, Group], dict[str, Measurement]] = {}
        self._places: dict[tuple[str, Group], dict[str, Mapping[str, Coordinate]]] = {}
        for row in rows:
            m, group = row.measurement, (row.variant, row.compression)
            self._places.setdefault((m.metric, group), {})[canonical(dict(m.at))] = m.at
            if row.seed is not None:
                self._cells.setdefault((m.metric, canonical(dict(m.at)), group), {})[row.seed] = m

    def values(self, metric: str, at: Mapping[str, Coordinate], group: Group) -> dict[str, float]:
        """Return seed → value for the planned seeds that were measured; NaN and infinities are values."""
        found = self._cells.get((metric, canonical(dict(at)), group), {})
        return {seed: m.value for seed in self.seeds if (m := found.get(seed)) is not None and m.value is not None}

    def correct(self, group: Group, seeds: Sequence[str]) -> NDArray[np.bool_] | None:
        """Return whether each seed's model is right on each text, (seeds, N); None unless all answered the same."""
        made = [self.predictions.get((group[0], seed, group[1])) for seed in seeds]
        found = [answers for answers in made if answers is not None]
        if not found or len(found) < len(seeds) or any(not np.array_equal(found[0][0], label) for label, _ in found):
            return None
        return np.stack([predicted == label for label, predicted in found])

    def outcome(self, metric: str, at: Mapping[str, Coordinate], group: Group) -> Outcome | None:
        """Return what a group got on each text; None where that is not at hand."""
        return self.outcomes.get((metric, canonical(dict(at)), group))

    def text_values(
        self, metric: str, at: Mapping[str, Coordinate], group: Group, seeds: Sequence[str]
    ) -> list[dict[str, float]] | None:
        """Return text → value of each seed of a group; None unless it is at hand for every one of them."""
        found = [self.of_seeds.get((metric, canonical(dict(at)), group, seed)) for seed in seeds]
        known = [outcome.by_text() for outcome in found if outcome is not None]
        return known if known and len(known) == len(seeds) else None

    def collapsed(self, group: Group) -> bool:
        """Return whether a group's rows are marked as those of a failed run or a collapsed checkpoint."""
        return any(
            row.measurement.status == "failed-run" for row in self.rows if (row.variant, row.compression) == group
        )

    def places(self, metric: str, *groups: Group) -> list[Mapping[str, Coordinate]]:
        """Return the coordinates at which any of the groups has this metric, ordered by their canonical text."""
        found = {text: at for group in groups for text, at in self._places.get((metric, group), {}).items()}
        return [found[text] for text in sorted(found)]

    def direction(self, metric: str) -> Direction:
        """Return which direction of a metric its measurements call better."""
        return next(
            (m.better for row in self.rows if (m := row.measurement).metric == metric and m.status != "error"),
            "neither",
        )

    def failed(self, variant: str) -> set[str]:
        """Return the seeds whose run failed."""
        return {seed for seed, value in self.values("train.failed", {}, (variant, DENSE)).items() if value != 0}

    def failed_among(self, groups: Sequence[Group], seeds: Sequence[str]) -> int:
        """Return how many runs of these groups and seeds failed."""
        return sum(seed in failed for failed in (self.failed(group[0]) for group in groups) for seed in seeds)

    def processes(self, metric: str, at: Mapping[str, Coordinate], group: Group | None) -> dict[int, list[float]]:
        """Return process → the values of `metric` at `at` in it, over the seeds of a group, or of all groups (None)."""
        found: dict[int, list[float]] = {}
        for row in self.rows:
            m = row.measurement
            if m.metric != metric or group not in (None, (row.variant, row.compression)) or m.value is None:
                continue
            place = dict(m.at)
            process = place.pop("process", None)
            if process is not None and canonical(place) == canonical(dict(at)):
                found.setdefault(int(process), []).append(m.value)
        return found


def planned_seeds(suite: Suite) -> list[str]:
    """Return the labels of a suite's seeds: ``0 … N−1``, the list given, or the crossed grid ``init/order``.

    Adaptive seeds are those of the look that the suite is as of, else as many as there may be.
    """
    if isinstance(suite.seeds, int):
        return [str(seed) for seed in range(suite.seeds)]
    if isinstance(suite.seeds, list):
        return [str(seed) for seed in suite.seeds]
    if isinstance(suite.seeds, SeedsAtLook):
        return [str(seed) for seed in range(suite.seeds.count)]
    if isinstance(suite.seeds, AdaptiveSeeds):
        return [str(seed) for seed in range(suite.seeds.max)]
    grid = suite.seeds
    return [TrialSeeds(init, order).label for init in range(grid.init) for order in range(grid.order)]


def failed_runs(rows: Sequence[Row], suite: Suite) -> dict[str, list[int]]:
    """Return variant → [failed runs, runs that finished], for every variant of the suite."""
    table = Table(rows, suite)
    return {
        variant: [len(table.failed(variant)), len(table.values("train.failed", {}, (variant, DENSE)))]
        for variant in suite.variants
    }


def compression_labels(suite: Suite) -> list[str]:
    """Return ``dense`` and the label of every chain of compressors."""
    return [DENSE, *(c if isinstance(c, str) else "+".join(c) for c in suite.compressions)]
