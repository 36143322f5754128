"""Every seed of every arm, joined over arms; failed runs on their own rail; and the paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stabbench.report.figures.svg import (
    COLOURS,
    GRID,
    INK,
    MUTED,
    Drawing,
    drawing,
    grid,
    new_figure,
    series_style,
    style,
)
from stabbench.report.numbers import share


def seed_strip(
    values: Mapping[str, Mapping[str, float]], failed: Mapping[str, Sequence[str]], majority: float | None
) -> Drawing:
    """Draw the accuracy of every seed.

    Args:
        values: variant → seed → accuracy, of all finished runs.
        failed: variant → seeds of failed runs.
        majority: share of the commonest label, drawn as a line.
    """
    variants = list(values)
    with style("seeds"):
        figure, axes = new_figure(7.0, 3.4)
        plot = axes[0, 0]
        fine = {v: {s: x for s, x in values[v].items() if s not in failed[v] and np.isfinite(x)} for v in variants}
        everything = [x for v in variants for x in fine[v].values()]
        low, high = (min(everything), max(everything)) if everything else (0.4, 1.0)
        pad = max(0.01, 0.12 * (high - low))
        rail = low - 2.2 * pad
        has_failed = any(failed[v] for v in variants)
        _joined(plot, variants, values, fine, rail)
        for index, variant in enumerate(variants):
            _arm(plot, index, fine[variant], failed[variant], rail)
        if has_failed:
            plot.axhspan(rail - 0.7 * pad, rail + 0.7 * pad, color=GRID, alpha=0.55, linewidth=0)
            plot.text(-0.48, rail, "failed\nruns", va="center", ha="left", fontsize=8, color=MUTED)
        if majority is not None and low - pad < majority < high + pad:
            plot.axhline(majority, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
            plot.text(
                len(variants) - 0.52, majority, "majority class", fontsize=7.5, color=MUTED, ha="right", va="bottom"
            )
        plot.set_xlim(-0.5, len(variants) - 0.5)
        plot.set_ylim((rail - pad) if has_failed else low - pad, high + pad)
        # The rail of failed runs is no place on the scale.
        plot.set_yticks([tick for tick in plot.get_yticks() if low - pad <= tick <= high + pad])
        plot.set_xticks(range(len(variants)), variants)
        plot.set_ylabel("accuracy on the test split")
        grid(plot)
        counts = ", ".join(f"{v} {len(failed[v])} of {len(values[v])}" for v in variants)
        title = f"Accuracy of every seed; failed runs: {counts}"
        text = (
            f"One mark per seed, lines join the same seed. Accuracy from {share(low)} to "
            f"{share(high)}; the long tick is the median."
        )
        return drawing(figure, "seeds", title, text)


def _joined(plot: Any, variants: list[str], values: Any, fine: Any, rail: float) -> None:
    for left, right in zip(range(len(variants)), range(1, len(variants)), strict=False):
        for seed in values[variants[left]]:
            if seed in values[variants[right]]:
                ends = [fine[variants[i]].get(seed, rail) for i in (left, right)]
                plot.plot([left, right], ends, color=MUTED, linewidth=0.7, alpha=0.6, zorder=1)


def _arm(plot: Any, index: int, fine: Mapping[str, float], failed: Sequence[str], rail: float) -> None:
    look = series_style(index)
    if fine:
        plot.scatter(
            [index] * len(fine), list(fine.values()), s=42, marker=look["marker"], color=look["color"], zorder=3
        )
        middle = float(np.median(list(fine.values())))
        plot.plot([index - 0.16, index + 0.16], [middle, middle], color=INK, linewidth=1.8, zorder=4)
    if failed:
        shifts = (np.arange(len(failed)) - (len(failed) - 1) / 2) * 0.07
        plot.scatter(index + shifts, [rail] * len(failed), s=44, marker="x", color=look["color"], linewidth=2, zorder=3)


def paired_differences(rows: Sequence[tuple[str, Mapping[str, float], float | None, Any, float | None]]) -> Drawing:
    """Draw each seed's difference to the reference, with mean, interval and margin.

    Args:
        rows: per claim its label, seed → difference, effect, interval (low, high) or None, margin or None.
    """
    with style("paired"):
        figure, axes = new_figure(7.0, 0.85 + 0.62 * len(rows))
        plot = axes[0, 0]
        plot.axvline(0, color=INK, linewidth=1)
        for index, (_, differences, effect, interval, margin) in enumerate(rows):
            y = len(rows) - 1 - index
            if margin is not None:
                plot.axvspan(
                    -margin,
                    margin,
                    ymin=(y + 0.1) / len(rows),
                    ymax=(y + 0.9) / len(rows),
                    color=GRID,
                    alpha=0.8,
                    linewidth=0,
                )
            plot.scatter(
                list(differences.values()),
                [y - 0.14] * len(differences),
                s=26,
                facecolors="none",
                edgecolors=COLOURS[1],
            )
            if interval is not None and effect is not None:
                plot.plot(interval, [y + 0.14, y + 0.14], color=COLOURS[1], linewidth=2.4, solid_capstyle="butt")
                plot.scatter([effect], [y + 0.14], s=40, color=COLOURS[1], zorder=3)
        plot.set_ylim(-0.5, len(rows) - 0.5)
        plot.set_yticks(range(len(rows) - 1, -1, -1), [label for label, *_ in rows])
        plot.set_xlabel("difference to the reference, same seed")
        grid(plot, "x")
        title = "Difference of every seed pair, their mean with its interval, and the margin"
        return drawing(
            figure,
            "paired",
            title,
            "Rings: seed pairs. Dot and bar: mean and interval. Band: differences that count as none.",
        )
