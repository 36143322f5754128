"""Failed runs and scores over a grid of one option, one line per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.report.figures.svg import GRID, MUTED, Drawing, drawing, grid, new_figure, series_style, style


def sweep_curves(
    option: str, metric: str, arms: Mapping[str, Sequence[Mapping[str, Any]]], chance: float, tolerated: float
) -> Drawing:
    """Draw the share of failed runs above, and every run's score with the mean below, against the option's value.

    Args:
        option: name of the option, for the axis.
        metric: name of the score.
        arms: variant → points with ``value``, ``rate``, ``mean``, ``scores``; points without runs are left out.
        chance: score without learning, drawn as a line.
        tolerated: largest share of failed runs that counts as stable, drawn as a band.
    """
    values = sorted({point["value"] for points in arms.values() for point in points})
    with style("sweep"):
        figure, axes = new_figure(7.0, 5.0, 2, 1, sharex=True)
        upper, lower = axes[0, 0], axes[1, 0]
        upper.axhspan(0, tolerated, color=GRID, alpha=0.8, linewidth=0)
        lower.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        for index, (variant, points) in enumerate(arms.items()):
            look, known = series_style(index), [point for point in points if point["rate"] is not None]
            x = [point["value"] for point in known]
            upper.plot(x, [p["rate"] for p in known], label=variant, linewidth=1.8, markersize=6, **look)
            lower.plot(x, [p["mean"] for p in known], linewidth=1.8, markersize=0, **{**look, "marker": None})
            for point in known:
                lower.scatter(
                    [point["value"]] * len(point["scores"]), point["scores"], s=18, marker=look["marker"],
                    facecolors="none", edgecolors=look["color"], linewidth=0.9,
                )  # fmt: skip
        upper.set_ylim(-0.04, 1.04)
        upper.set_ylabel("share of failed runs")
        upper.legend(loc="best")
        lower.set_ylabel(f"{metric} on the test split")
        lower.set_xlabel(option)
        _ticks(lower, values)
        grid(upper)
        grid(lower)
        title = "Failed runs and scores over the grid, the same for every arm"
        text = (
            f"Above: share of failed runs; the band is what counts as stable, up to {tolerated:.0%}. Below: one mark "
            f"per run, lines are means; dashed: {metric} without learning. Values from {values[0]:g} to {values[-1]:g}."
            if values
            else "No run has finished."
        )
        return drawing(figure, "sweep", title, text)


def _ticks(plot: Any, values: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    if values and values[-1] >= 10 * values[0]:
        plot.set_xscale("log")
        plot.xaxis.set_minor_locator(NullLocator())
    plot.xaxis.set_major_locator(FixedLocator(list(values)))
    plot.set_xticks(list(values), [f"{value:g}" for value in values], rotation=30 if len(values) > 6 else 0)
