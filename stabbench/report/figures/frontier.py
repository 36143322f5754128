"""Costs against what is kept, one panel per pair, with each arm's frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stabbench.report.figures.svg import INK, MUTED, Drawing, drawing, grid, new_figure, series_style, style

COLUMNS = 2
"""Two, so that both things kept stand side by side, and a phone shows a panel whole."""


@dataclass(frozen=True)
class Axis:
    """A cost axis: its label, and whether more of it is better."""

    label: str
    more_is_better: bool


@dataclass(frozen=True)
class Point:
    """One subject in one panel.

    Attributes:
        number: of its compression, 0 for dense; printed beside the mark.
        variant: index of its arm.
        x: cost.
        y: what it keeps of the dense model, a share.
    """

    number: int
    variant: int
    x: float
    y: float


def on_frontier(points: Sequence[Point], more_is_better: bool) -> list[Point]:
    """Return the points that no other one beats, from the dearest to the cheapest.

    A point is beaten by one that costs no more and keeps no less, and is better in one of the two.
    """
    sign = 1.0 if more_is_better else -1.0

    def beats(a: Point, b: Point) -> bool:
        gain = (sign * (a.x - b.x), a.y - b.y)
        return min(gain) >= 0 and max(gain) > 0

    best = [point for point in points if not any(beats(other, point) for other in points)]
    return sorted(best, key=lambda point: (sign * point.x, -point.y))


def frontier_panels(
    panels: Mapping[tuple[str, str], tuple[Axis, Sequence[Point]]], variants: Sequence[str], compressions: Sequence[str]
) -> Drawing:
    """Draw every panel: marks are subjects, numbers their compression, lines each arm's frontier.

    Args:
        panels: (what is kept, cost) → the cost's axis and the subjects.
        variants: arms, the reference first.
        compressions: labels by number, ``dense`` first.
    """
    rows = -(-len(panels) // COLUMNS)
    with style("frontier"):
        figure, axes = new_figure(6.0, 0.75 + 1.9 * rows, rows, COLUMNS)
        plots = axes.flat
        for plot, ((kept, _), (axis, points)) in zip(plots, panels.items(), strict=False):
            _panel(plot, kept, axis, points)
        for plot in list(axes.flat)[len(panels) :]:
            plot.set_axis_off()
        handles = [_handle(axes[0, 0], index, name) for index, name in enumerate(variants)]
        names = ", ".join(f"{number} {label}" for number, label in enumerate(compressions))
        figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
        text = (
            f"{len(panels)} panels, a mark for each arm and compression. Numbers: {names}. "
            "Lines join the subjects that no other of the same arm beats in both directions; upwards more is kept."
        )
        return drawing(figure, "frontier", "What a subject costs against what it keeps of its dense model", text)


def _panel(plot: Any, kept: str, axis: Axis, points: Sequence[Point]) -> None:
    for variant in sorted({point.variant for point in points}):
        look, mine = series_style(variant), [point for point in points if point.variant == variant]
        best = on_frontier(mine, axis.more_is_better)
        line = {"color": look["color"], "linestyle": look["linestyle"]}
        plot.plot([p.x for p in best], [p.y for p in best], linewidth=1.4, **line)
        plot.scatter(
            [p.x for p in mine], [p.y for p in mine], s=30, marker=look["marker"], facecolors="none",
            edgecolors=look["color"], linewidth=1.3,
        )  # fmt: skip
    _numbers(plot, points)
    plot.margins(0.14, 0.2)
    plot.set_xlabel(f"{axis.label} ({'more' if axis.more_is_better else 'less'} is better)")
    plot.set_title(kept)
    plot.spines["left"].set_color(MUTED)
    plot.locator_params(axis="x", nbins=4)
    plot.locator_params(axis="y", nbins=5)
    grid(plot, "both")


def _numbers(plot: Any, points: Sequence[Point]) -> None:
    """Write each mark's number beside it: arms of one shape cost the same, so the leftmost's stands on its left."""
    for number in {point.number for point in points}:
        mine = sorted((point for point in points if point.number == number), key=lambda point: (point.x, point.variant))
        for index, point in enumerate(mine):
            plot.annotate(
                str(number), (point.x, point.y), xytext=(5 if index else -5, 0), textcoords="offset points",
                ha="left" if index else "right", va="center", fontsize=8, color=INK,
            )  # fmt: skip


def _handle(plot: Any, index: int, name: str) -> Any:
    look = series_style(index)
    (handle,) = plot.plot([], [], label=name, markerfacecolor="none", markersize=6, linewidth=1.4, **look)
    return handle
