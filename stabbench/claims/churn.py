"""Flips by compression in the measure of flips by the seed: below 1 compression moves less than training again does."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stabbench.claims.claim import Group
from stabbench.claims.table import Predictions, Table
from stabbench.records import DENSE, Measurement, Row, Status
from stabbench.statistics.seeds import disagreement


def churn(table: Table, predictions: Predictions, group: Group) -> Iterator[Row]:
    """Yield compression.seed_churn of each seed of a compressed group.

    churn_i = flips(dense_i, compressed_i) / D, with D the mean share of texts on which two uncompressed models of the
    same variant disagree, over all pairs of seeds whose runs did not fail: a constant model disagrees for another
    reason. No value where there are fewer than two such seeds, or where they agree on every text.
    """
    if group[1] == DENSE:
        return
    flips = table.values("compression.flip_rate", {}, group)
    failed = table.failed(group[0])
    between = _between_seeds(table, predictions, group[0], failed)
    for seed, value in flips.items():
        ratio = value / between if between else None
        status: Status = "failed-run" if seed in failed else "ok"
        found = Measurement("compression.seed_churn", ratio, "ratio", "lower", status=status)
        yield Row(group[0], seed, group[1], "compression", found)


def _between_seeds(table: Table, predictions: Predictions, variant: str, failed: set[str]) -> float | None:
    made = [
        predictions[variant, seed, DENSE]
        for seed in table.seeds
        if seed not in failed and (variant, seed, DENSE) in predictions
    ]
    if len(made) < 2 or any(not np.array_equal(made[0][0], labels) for labels, _ in made):
        return None
    return disagreement(np.stack([predicted for _, predicted in made]))
