"""Measurements that need more than one subject: mCE against the matched reference, and what seeds do to a group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stabbench.claims.churn import churn
from stabbench.claims.claim import Group
from stabbench.claims.spread import standard_deviation
from stabbench.claims.table import Predictions, Table
from stabbench.records import Measurement, Row, Status
from stabbench.seeding import TrialSeeds
from stabbench.statistics.components import variance_components
from stabbench.statistics.seeds import disagreement, excess_variance, expected_maximum
from stabbench.suite.schema import Suite

Cell = tuple[str, int | float]
BEST_OF = (3, 5, 10)
"""Numbers of seeds whose expected best is told."""


def derive(rows: Sequence[Row], predictions: Predictions, suite: Suite) -> list[Row]:
    """Return the derived rows: noise.mce and compression.seed_churn per subject; per group what seeds do to it.

    That is seeds.sd, seeds.excess_variance, seeds.disagreement, seeds.expected_maximum and, for crossed seeds,
    seeds.variance_init, seeds.variance_order and seeds.variance_rest.

    Args:
        rows: all measured rows.
        predictions: (variant, seed, compression) → (labels, predicted) on the test split, each of shape (N,).
        suite: names the reference variant and the planned seeds.
    """
    if suite.of_checkpoints:
        return []  # two checkpoints are not matched, and one of each has no spread
    table = Table(rows, suite)
    groups = list(dict.fromkeys((row.variant, row.compression) for row in rows if row.seed is not None))
    corruption = [row for group in groups for row in _corruption(table, rows, group, suite.compare.reference)]
    moved = [row for group in groups for row in churn(table, predictions, group)]
    return [*corruption, *moved, *(row for group in groups for row in _seeds(table, predictions, group))]


def mean_corruption_error(errors: Mapping[Cell, float], reference: Mapping[Cell, float], n: int) -> float | None:
    """Return mCE = mean over kinds k of Σ_s err(k, s) / Σ_s err_ref(k, s); 1 for the reference, below 1 is better.

    None where the two were not measured on the same kinds and severities, or where the reference makes less than one
    mistake on a kind over all severities: the ratio would hang on a single text. Source: Hendrycks & Dietterich (2019),
    arXiv:1903.12261.

    Args:
        errors: (kind, severity) → 1 − accuracy, in [0, 1].
        reference: the same of the matched reference.
        n: examples behind each error.
    """
    if not errors or errors.keys() != reference.keys():
        return None
    kinds = sorted({kind for kind, _ in errors})
    below = [math.fsum(reference[cell] for cell in reference if cell[0] == kind) for kind in kinds]
    # A tolerance, since 1 − 299/300 is a hair off 1/300.
    if any(total < (1 - 1e-9) / max(n, 1) for total in below):
        return None
    above = [math.fsum(errors[cell] for cell in errors if cell[0] == kind) for kind in kinds]
    return math.fsum(a / b for a, b in zip(above, below, strict=True)) / len(kinds)


def _corruption(table: Table, rows: Sequence[Row], group: Group, reference: str) -> Iterator[Row]:
    """One row per seed in which both the group and the reference at the same compression met the noise."""
    errors = _noise_errors(rows, group)
    matched = _noise_errors(rows, (reference, group[1]))
    failed = table.failed(group[0])
    for seed in table.seeds:
        if seed not in errors or seed not in matched:
            continue
        found, n = errors[seed]
        value = mean_corruption_error(found, matched[seed][0], n)
        status: Status = "failed-run" if seed in failed else "ok"
        measurement = Measurement("noise.mce", value, "ratio", "lower", n_used=n, n_planned=n, status=status)
        yield Row(group[0], seed, group[1], "noise", measurement)


def _noise_errors(rows: Sequence[Row], group: Group) -> dict[str, tuple[dict[Cell, float], int]]:
    """Return seed → ((kind, severity) → error, fewest examples behind one of them)."""
    found: dict[str, tuple[dict[Cell, float], int]] = {}
    for row in rows:
        m = row.measurement
        if m.metric != "noise.accuracy" or (row.variant, row.compression) != group or row.seed is None:
            continue
        if m.value is None or "kind" not in m.at or "severity" not in m.at:
            continue
        errors, n = found.get(row.seed, ({}, m.n_used or 0))
        severity = m.at["severity"]
        assert not isinstance(severity, str)
        errors[str(m.at["kind"]), severity] = 1.0 - m.value
        found[row.seed] = (errors, min(n, m.n_used or 0))
    return found


def _seeds(table: Table, predictions: Predictions, group: Group) -> Iterator[Row]:
    accuracy = list(table.values("accuracy", {}, group).values())
    if not accuracy:
        return
    planned = len(table.seeds)
    yield _group_row(group, "seeds.sd", standard_deviation(accuracy), "share", len(accuracy), planned)
    yield from _best_of(group, accuracy, planned)
    yield from _sources(table, group)
    made = [predictions[group[0], seed, group[1]] for seed in table.seeds if (group[0], seed, group[1]) in predictions]
    if not made:
        return
    labels = made[0][0]
    # Seeds that answered different examples have no disagreement to speak of.
    same = all(np.array_equal(labels, other) for other, _ in made)
    answers = np.stack([predicted for _, predicted in made]) if same else None
    ratio = excess_variance(answers == labels).value if answers is not None else None
    differ = disagreement(answers) if answers is not None else None
    yield _group_row(group, "seeds.excess_variance", ratio, "ratio", len(made), planned)
    yield _group_row(group, "seeds.disagreement", differ, "share", len(made), planned)


def _best_of(group: Group, accuracy: list[float], planned: int) -> Iterator[Row]:
    """What the best of k seeds may be expected to reach: reported maxima are of this kind."""
    for k in BEST_OF:
        best = expected_maximum(accuracy, k).value
        if best is not None:
            found = Measurement("seeds.expected_maximum", best, "share", "higher", {"k": k}, len(accuracy), planned)
            yield Row(group[0], None, group[1], "seeds", found)


def _sources(table: Table, group: Group) -> Iterator[Row]:
    """Variance of accuracy by source, where initialisation and order were crossed and no cell is missing."""
    cells = [(TrialSeeds.parse(seed), value) for seed, value in table.values("accuracy", {}, group).items()]
    if not table.crossed or len(cells) < len(table.seeds):
        return
    by_init: dict[int, dict[int, float]] = {}
    for seeds, value in cells:
        by_init.setdefault(seeds.init, {})[seeds.order] = value
    grid = [[row[order] for order in sorted(row)] for _, row in sorted(by_init.items())]
    found = variance_components(grid)
    for source, part in (("init", found.rows), ("order", found.columns), ("rest", found.rest)):
        metric = f"seeds.variance_{source}"
        yield _group_row(group, metric, part.value, "squared share", len(cells), len(table.seeds))


def _group_row(group: Group, metric: str, value: float | None, unit: str, used: int, planned: int) -> Row:
    return Row(group[0], None, group[1], "seeds", Measurement(metric, value, unit, "lower", {}, used, planned))
