"""Accuracy against severity, one small panel per kind of noise, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stabbench.report.figures.svg import Drawing, drawing, grid, new_figure, series_style, style

COLUMNS = 4


def noise_curves(severities: Sequence[int], kinds: Mapping[str, Mapping[str, np.ndarray]]) -> Drawing:
    """Draw one panel per kind.

    Args:
        severities: 0 (clean), then the measured ones.
        kinds: kind → variant → (S, len(severities)) accuracy of S seeds.
    """
    rows = -(-len(kinds) // COLUMNS)
    with style("noise"):
        figure, axes = new_figure(7.4, 0.5 + 2.1 * rows, rows, min(COLUMNS, len(kinds)), sharey=True, sharex=True)
        flat = axes.ravel()
        for plot, (kind, variants) in zip(flat, kinds.items(), strict=False):
            for index, (variant, values) in enumerate(variants.items()):
                look = series_style(index)
                mean, half = np.nanmean(values, axis=0), _half_interval(values)
                plot.fill_between(severities, mean - half, mean + half, color=look["color"], alpha=0.15, linewidth=0)
                plot.plot(severities, mean, label=variant, linewidth=1.6, markersize=4.5, **look)
            plot.set_title(kind)
            plot.set_xticks(list(severities))
            grid(plot)
        for plot in flat[len(kinds) :]:
            plot.set_visible(False)
        flat[0].set_ylabel("accuracy")
        figure.supxlabel("severity (0: clean text)", fontsize=9)
        flat[0].legend(fontsize=8, loc="lower left")
        title = "Accuracy under noise, by kind and severity"
        several = any(len(values) > 1 for variants in kinds.values() for values in variants.values())
        mean_of = "Mean over seeds that did not fail, with 95 % t intervals; severities" if several else "Severities"
        text = f"{mean_of} {', '.join(map(str, severities))}."
        return drawing(figure, "noise", title, text)


def _half_interval(values: np.ndarray) -> np.ndarray:
    """Return half the width of the 95 % t interval over seeds; 0 for one seed."""
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return np.zeros(values.shape[1])
    half: np.ndarray = stdtrit(n - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return half
