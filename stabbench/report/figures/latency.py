"""Latency of every subject against the reference, per process, with the A/A replicate as the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.report.figures.svg import GRID, INK, MUTED, Drawing, drawing, grid, new_figure, series_style, style


def ratio_dots(
    panels: Mapping[str, Sequence[tuple[str, int, Sequence[float]]]], floor: Mapping[str, Sequence[float]]
) -> Drawing:
    """Draw each process's ratio of a subject's median to the reference's.

    Args:
        panels: panel title → rows of (label, index of the variant, ratios by process).
        floor: panel title → A/A ratios by process, drawn as a band.
    """
    longest = max((len(rows) for rows in panels.values()), default=1)
    with style("ratios"):
        figure, axes = new_figure(7.4, 0.9 + 0.34 * longest, 1, len(panels), sharey=True)
        for plot, (name, rows) in zip(axes[0], panels.items(), strict=True):
            _panel(plot, name, rows, floor.get(name, ()))
        axes[0, 0].set_yticks(range(longest - 1, -1, -1), [row[0] for row in next(iter(panels.values()))])
        title = "Latency as a ratio to the reference, one mark per fresh process; left is faster"
        return drawing(
            figure,
            "ratios",
            title,
            "Ratios on a log scale; 1 is the reference; the band spans the A/A replicate's ratios.",
        )


def _panel(plot: Any, name: str, rows: Sequence[tuple[str, int, Sequence[float]]], floor: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    if floor:
        plot.axvspan(min(floor), max(floor), color=GRID, alpha=0.8, linewidth=0)
    plot.axvline(1, color=INK, linewidth=1)
    values = [1.0, *(ratio for _, _, ratios in rows for ratio in ratios)]
    for index, (_, variant, ratios) in enumerate(rows):
        look = series_style(variant)
        y = len(rows) - 1 - index
        plot.scatter(
            ratios, [y] * len(ratios), s=20, marker=look["marker"], facecolors="none", edgecolors=look["color"]
        )
        if ratios:
            middle = float(np.exp(np.mean(np.log(ratios))))
            plot.plot([middle, middle], [y - 0.28, y + 0.28], color=look["color"], linewidth=2.4)
    plot.set_xscale("log")
    ticks = [
        tick for tick in (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3) if min(values) * 0.9 <= tick <= max(values) * 1.1
    ]
    plot.xaxis.set_major_locator(FixedLocator(ticks))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
    plot.xaxis.set_minor_locator(NullLocator())
    plot.set_title(name)
    plot.spines["left"].set_color(MUTED)
    grid(plot, "x")
