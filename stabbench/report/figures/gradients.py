"""Gradient norms block × step for every arm, before and after stabilizers act, on one colour scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stabbench.report.figures.svg import Drawing, drawing, grid, new_figure, series_style, style

BINS = 150
FLOOR = 1e-8


def gradient_maps(
    raw: Mapping[str, np.ndarray], applied: Mapping[str, np.ndarray], blocks: Sequence[str], seeds: str
) -> Drawing:
    """Draw heat maps of log₁₀ ‖g‖, the median over seeds.

    Args:
        raw: variant → (T, L) median over seeds of norms before stabilizers act.
        applied: the same after.
        blocks: (L,) names from the bottom up.
        seeds: which seeds, for the caption.
    """
    variants = list(raw)
    panels = [(v, label, data[v]) for label, data in (("raw", raw), ("applied", applied)) for v in variants]
    logs = [np.log10(np.maximum(np.nan_to_num(_binned(data), nan=FLOOR, posinf=1e8), FLOOR)) for _, _, data in panels]
    low, high = (min(float(x.min()) for x in logs), max(float(x.max()) for x in logs)) if logs else (-1.0, 1.0)
    with style("gradients"):
        figure, axes = new_figure(7.4, 1.1 + 1.75 * 2, 2, len(variants), sharey=True)
        image = None
        for index, ((variant, label, data), values) in enumerate(zip(panels, logs, strict=True)):
            plot = axes[index // len(variants), index % len(variants)]
            image = plot.imshow(
                values.T, aspect="auto", origin="lower", cmap="cividis", vmin=low, vmax=high, interpolation="nearest",
                extent=(0, len(data), -0.5, len(blocks) - 0.5),
            )  # fmt: skip
            plot.set_title(f"{variant}, {label}")
            plot.set_yticks(range(len(blocks)), blocks, fontsize=7.5)
            plot.tick_params(length=0)
            if index >= len(variants):
                plot.set_xlabel("step")
        if image is not None:
            figure.colorbar(image, ax=axes, label="log10 of the gradient norm", shrink=0.9)
        ends = f"10^{low:.1f} to 10^{high:.1f}"
        title = "Gradient norm per block and step, before (raw) and after (applied) stabilizers act"
        return drawing(
            figure, "gradients", title, f"Median over {seeds}; one colour scale, {ends}; bottom row: embeddings."
        )


def _binned(data: np.ndarray) -> np.ndarray:
    """Return at most `BINS` rows: means over equal runs of steps."""
    if len(data) <= BINS:
        return data
    return np.stack([part.mean(axis=0) for part in np.array_split(data, BINS)])


def probe_curves(steps: Sequence[int], norms: Mapping[str, np.ndarray]) -> Drawing:
    """Draw the gradient probe at checkpoints: global norm over seeds, one line per arm.

    Args:
        steps: (C,) checkpoints.
        norms: variant → (S, C) global norms of S seeds.
    """
    with style("probe"):
        figure, axes = new_figure(7.0, 2.6)
        plot = axes[0, 0]
        for index, (variant, values) in enumerate(norms.items()):
            look = series_style(index)
            plot.fill_between(
                steps, values.min(axis=0), values.max(axis=0), color=look["color"], alpha=0.15, linewidth=0
            )
            plot.plot(steps, np.median(values, axis=0), label=variant, linewidth=1.8, markersize=5, **look)
        plot.set_xlabel("step")
        plot.set_ylabel("norm of the probe gradient")
        plot.set_xticks(list(steps))
        plot.legend(loc="best")
        grid(plot)
        title = "Gradient probe at checkpoints: one objective for all arms, so the arms compare"
        return drawing(
            figure,
            "probe",
            title,
            "Plain cross-entropy on fixed examples in evaluation mode. Line: median; band: all seeds.",
        )
