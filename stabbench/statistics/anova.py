"""Mean squares of a crossed table without replicates: rows, columns, and what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Values that agree to this share of their largest deviation differ by rounding only.
ROUNDING = 1e-9


@dataclass(frozen=True)
class MeanSquares:
    """Mean squares of x (n, N), in units of x squared, divided by `scale` squared.

    Attributes:
        rows: A = N·Σ(x̄ᵢ. − x̄)²/(n−1), with expectation σ²_e + N·σ²_row.
        columns: B = n·Σ(x̄.ⱼ − x̄)²/(N−1), with expectation σ²_e + n·σ²_column.
        residual: E = Σ(xᵢⱼ − x̄ᵢ. − x̄.ⱼ + x̄)²/((n−1)(N−1)), with expectation σ²_e: interaction and noise together.
        scale: largest |x − x₁₁|; squares are taken of deviations divided by it, so that none overflows.
    """

    rows: float
    columns: float
    residual: float
    scale: float


def mean_squares(table: NDArray[np.float64]) -> MeanSquares | None:
    """Return the mean squares of a two-way table with one value per cell; None where they do not exist.

    They need at least two rows, two columns and finite values. A constant table has mean squares 0 and scale 0. Source:
    Searle, Casella & McCulloch (1992), Variance Components, §4.3.

    Args:
        table: (n, N) finite values.
    """
    n, columns = table.shape
    if n < 2 or columns < 2 or not np.isfinite(table).all():
        return None
    # Halved first: the difference of two finite numbers may not be finite.
    halves = table / 2 - table[0, 0] / 2
    half = float(np.abs(halves).max())
    if half == 0.0 or half <= ROUNDING * float(np.abs(table[0, 0])):
        return MeanSquares(0.0, 0.0, 0.0, 0.0)
    x = halves / half
    grand, by_row, by_column = float(x.mean()), x.mean(axis=1), x.mean(axis=0)
    left = x - by_row[:, None] - by_column + grand
    return MeanSquares(
        columns * float(np.sum((by_row - grand) ** 2)) / (n - 1),
        n * float(np.sum((by_column - grand) ** 2)) / (columns - 1),
        float(np.sum(left**2)) / ((n - 1) * (columns - 1)),
        2 * half,
    )
