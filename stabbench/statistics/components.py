"""Which source of randomness matters: variance components of a crossed grid, such as seeds of init × seeds of order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stabbench.statistics.anova import MeanSquares, mean_squares
from stabbench.statistics.result import Estimate

FEWEST_LEVELS = 5
"""Fewest rows and fewest columns from which on a component has an interval: below, a factor of ten is in doubt."""
DRAWS = 2_000
SMALLEST = 1e-150
"""Smallest spread of values whose square is an ordinary number; its inverse is the largest."""


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of xᵢⱼ = μ + rowᵢ + columnⱼ + restᵢⱼ, in squared units of x.

    A negative estimate means that no variance was seen: it and the ends of its interval are given as 0.

    Attributes:
        rows: variance from row to row; p is that of the F test of "none".
        columns: variance from column to column, with its p.
        rest: interaction and whatever differs in a cell by itself; one run per cell cannot tell the two apart.
    """

    rows: Estimate
    columns: Estimate
    rest: Estimate


def variance_components(grid: ArrayLike, level: float = 0.95) -> VarianceComponents:
    """Return σ²_row = (A − E)/N, σ²_column = (B − E)/n and σ²_rest = E from the mean squares of `anova`.

    Intervals are those of normal effects: rest: (n−1)(N−1)·E/χ², exact; rows and columns: the modified large-sample
    interval of a difference of mean squares. Tailed effects make them too short (reports/statistics). Sources: Searle,
    Casella & McCulloch (1992), Variance Components, ch. 4; Burdick & Graybill (1992), Confidence Intervals on Variance
    Components.

    Point estimates only below `FEWEST_LEVELS` rows or columns; nothing at all with one row or one column.

    Args:
        grid: (n, N) one value per cell: row i shares one source (init), column j the other (order).
        level: coverage of the intervals, in (0, 1).
    """
    x = np.asarray(grid, dtype=float)
    name = "two-way analysis of variance"
    squares, reason = _squares(x)
    if squares is None:
        return _without(level, x, name, reason)
    values = _components(squares, *x.shape)
    if reason or squares.scale == 0.0:
        return _points(values, level, x, name, reason or f"all {x.size} values are equal")
    if squares.residual <= 0.0:
        return _points(values, level, x, name, "nothing is left beside rows and columns")
    from scipy.special import chdtri, fdtrc

    n, columns = x.shape
    freedom, unit, tail = (n - 1) * (columns - 1), squares.scale**2, (1 - level) / 2
    ends = [
        _modified_large_sample(squares.rows, squares.residual, n - 1, freedom, columns, level),
        _modified_large_sample(squares.columns, squares.residual, columns - 1, freedom, n, level),
        tuple(freedom * squares.residual / float(chdtri(freedom, q)) for q in (tail, 1 - tail)),
    ]
    p = [
        float(fdtrc(n - 1, freedom, squares.rows / squares.residual)),
        float(fdtrc(columns - 1, freedom, squares.columns / squares.residual)),
        None,
    ]
    found = [
        Estimate(v, max(0.0, low) * unit, max(0.0, high) * unit, level, x.size, name, q)
        for v, (low, high), q in zip(values, ends, p, strict=True)
    ]
    return VarianceComponents(*found)


def resampled_components(
    grid: ArrayLike, level: float = 0.95, *, draws: int = DRAWS, rng: np.random.Generator | None = None
) -> VarianceComponents:
    """Return the same components with percentile intervals of resampled rows and resampled columns. Descriptive.

    In each draw a component is a mean over pairs of cells from different original rows and columns, weighted by how
    often they were drawn: counting a row's copies as rows that agree would bias every component. With weights 1 these
    means are the estimates of `variance_components`. Source of the resampling: Owen (2007), Ann. Appl. Stat. 1:386.

    Args:
        grid: (n, N) one value per cell.
        level: coverage of the intervals, in (0, 1).
        draws: number of draws.
        rng: generator of the draws; default a fixed seed.
    """
    x = np.asarray(grid, dtype=float)
    name = f"rows and columns resampled, {draws} draws"
    squares, reason = _squares(x)
    if squares is None:
        return _without(level, x, name, reason)
    values = _components(squares, *x.shape)
    if reason or squares.scale == 0.0:
        return _points(values, level, x, name, reason or f"all {x.size} values are equal")
    generator = np.random.default_rng(0) if rng is None else rng
    n, columns = x.shape
    rows_drawn = generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(float)
    columns_drawn = generator.multinomial(columns, np.full(columns, 1 / columns), size=draws).astype(float)
    # A draw of one row only, or one column only, has no pair.
    usable = (rows_drawn.max(axis=1) < n) & (columns_drawn.max(axis=1) < columns)
    drawn = _pair_means((x / 2 - x[0, 0] / 2) / (squares.scale / 2), rows_drawn[usable], columns_drawn[usable])
    low, high = np.quantile(np.maximum(drawn, 0.0) * squares.scale**2, [(1 - level) / 2, (1 + level) / 2], axis=1)
    found = [
        Estimate(v, min(v, float(a)), max(v, float(b)), level, x.size, name)
        for v, a, b in zip(values, low, high, strict=True)
    ]
    return VarianceComponents(*found)


def _squares(x: NDArray[np.float64]) -> tuple[MeanSquares | None, str]:
    """Return the mean squares and why there is no interval (empty where there is one)."""
    if x.ndim != 2 or min(x.shape) < 2:
        return None, "a grid needs at least two rows and two columns"
    lost = int(np.sum(~np.isfinite(x)))
    if lost:
        return None, f"{lost} of {x.size} values not finite"
    found = mean_squares(x)
    if found is None or (found.scale and not SMALLEST < found.scale < 1 / SMALLEST):
        return None, "the squares of these values are beyond floating point"
    few = min(x.shape) < FEWEST_LEVELS
    reason = f"{x.shape[0]} × {x.shape[1]} grid: intervals need at least {FEWEST_LEVELS} × {FEWEST_LEVELS}"
    return found, reason if few else ""


def _components(squares: MeanSquares, n: int, columns: int) -> list[float]:
    e, unit = squares.residual, squares.scale**2
    return [max(0.0, (squares.rows - e) / columns) * unit, max(0.0, (squares.columns - e) / n) * unit, e * unit]


def _modified_large_sample(
    first: float, second: float, freedom: int, rest: int, divisor: int, level: float
) -> tuple[float, float]:
    """Return the interval of (E[first] − E[second])/divisor, both mean squares of normal effects."""
    from scipy.special import chdtri, fdtri

    tail = (1 - level) / 2
    g1, g2 = (1 - k / float(chdtri(k, tail)) for k in (freedom, rest))
    h1, h2 = (k / float(chdtri(k, 1 - tail)) - 1 for k in (freedom, rest))
    above, below = float(fdtri(freedom, rest, 1 - tail)), float(fdtri(freedom, rest, tail))
    g12 = ((above - 1) ** 2 - (g1 * above) ** 2 - h2**2) / above
    h12 = ((1 - below) ** 2 - (h1 * below) ** 2 - g2**2) / below
    down = (g1 * first) ** 2 + (h2 * second) ** 2 + g12 * first * second
    up = (h1 * first) ** 2 + (g2 * second) ** 2 + h12 * first * second
    centre = first - second
    return (centre - max(down, 0.0) ** 0.5) / divisor, (centre + max(up, 0.0) ** 0.5) / divisor


def _pair_means(
    x: NDArray[np.float64], w: NDArray[np.float64], v: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return per draw the components (rows, columns, rest) from half squared differences of distinct cells.

    With ½(x−x')² averaged over pairs of different rows in one column (`down`), different columns in one row (`along`),
    both different (`across`), expectations are σ²_row + σ²_rest, σ²_column + σ²_rest, and the sum of all three.
    """
    x2 = x**2
    n, columns = w.sum(axis=1), v.sum(axis=1)
    pairs_n, pairs_columns = n**2 - np.sum(w**2, axis=1), columns**2 - np.sum(v**2, axis=1)
    by_row, by_column = v @ x.T, w @ x
    square_row, square_column = v @ x2.T, w @ x2
    total = np.sum(w * square_row, axis=1)
    same_row = columns[:, None] * square_row - by_row**2
    same_column = n[:, None] * square_column - by_column**2
    down = np.sum(v * same_column, axis=1) / (pairs_n * columns)
    along = np.sum(w * same_row, axis=1) / (pairs_columns * n)
    everything = n * columns * total - np.sum(w * by_row, axis=1) ** 2
    within = np.sum(w**2 * same_row, axis=1) + np.sum(v**2 * same_column, axis=1)
    across = (everything - within) / (pairs_n * pairs_columns)
    return across - along, across - down, down + along - across


def _without(level: float, x: NDArray[np.float64], name: str, reason: str) -> VarianceComponents:
    nothing = Estimate(None, None, None, level, x.size, name, reason=reason)
    return VarianceComponents(nothing, nothing, nothing)


def _points(values: list[float], level: float, x: NDArray[np.float64], name: str, reason: str) -> VarianceComponents:
    return VarianceComponents(*(Estimate(v, None, None, level, x.size, name, reason=reason) for v in values))
