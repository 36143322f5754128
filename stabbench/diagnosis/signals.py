"""What rules ask of a trace, computed once: smoothed loss, the loss of a guess, norms over thirds of the training."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from stabbench.diagnosis.arms import Trial

LEARNED = 0.9
"""A window's mean loss at or below this share of H has learned something; ours, no source gives one."""
CHANCE = 0.95
"""A window's mean loss at or above this share of H is that of a guess; batches scatter by a few percent."""


class Signals:
    """A trial's trace as the rules see it. Series are (T,), one value per step; blocks are (T, L)."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.trace = trial.trace

    @property
    def known(self) -> bool:
        """Whether there is a trace of at least four steps."""
        return len(self.trace.get("cross_entropy", ())) >= 4

    def has(self, *names: str) -> bool:
        """Return whether the trace has these arrays, none of them empty."""
        return all(len(self.trace.get(name, ())) > 0 for name in names)

    @cached_property
    def loss(self) -> np.ndarray:
        """Plain cross-entropy per step."""
        return self.trace["cross_entropy"].astype(float)

    @property
    def steps(self) -> int:
        """Steps done, T."""
        return len(self.loss)

    @cached_property
    def window(self) -> int:
        """Steps of a trailing window: a sixth of the training, from 3 to 25."""
        return min(max(self.steps // 6, 3), 25)

    @cached_property
    def smooth(self) -> np.ndarray:
        """Mean loss of the `window` steps up to and with step `window` − 1 + i, (T − window + 1,)."""
        views = np.lib.stride_tricks.sliding_window_view(self.loss, min(self.window, self.steps))
        means: np.ndarray = views.mean(axis=1)
        return means

    @cached_property
    def chance(self) -> float:
        """H: entropy of the labels in nats, the loss of a guess by their shares."""
        if self.has("label_share"):
            shares = self.trace["label_share"].astype(float).mean(axis=0)
        elif self.trial.labels is not None and len(self.trial.labels):
            shares = np.bincount(self.trial.labels) / len(self.trial.labels)
        else:
            return math.log(self.trial.classes)
        positive = shares[shares > 0]
        return -float((positive * np.log(positive)).sum()) or math.log(self.trial.classes)

    @cached_property
    def final(self) -> float:
        """Mean loss of the last window."""
        return float(self.smooth[-1])

    @cached_property
    def learned_at(self) -> int | None:
        """The first step at whose end the window's loss is ≤ 0.9 H, or None."""
        below = np.flatnonzero(self.smooth <= LEARNED * self.chance)
        return int(below[0]) + self.window - 1 if len(below) else None

    @property
    def at_chance(self) -> bool:
        """Whether the last window's loss is a guess's, or worse, or not a number."""
        return not self.final < CHANCE * self.chance

    @cached_property
    def norm(self) -> np.ndarray:
        """Global raw gradient norm per step."""
        return _whole(self.trace["raw_norm"])

    @cached_property
    def applied(self) -> np.ndarray:
        """Global applied gradient norm per step."""
        return _whole(self.trace["applied_norm"])

    @cached_property
    def blocks(self) -> list[str]:
        """Names of the blocks, bottom-up."""
        return [str(name) for name in self.trace["blocks"]]

    @property
    def bottom(self) -> str:
        """The lowest encoder block; embeddings, where there is none."""
        return next((name for name in self.blocks if name.startswith("block.")), self.blocks[0])

    def block(self, array: str, name: str) -> np.ndarray:
        """Return the column of a block in an array of (…, L)."""
        return self.trace[array][:, self.blocks.index(name)].astype(float)

    @cached_property
    def bottom_to_top(self) -> np.ndarray:
        """‖g_bottom‖/‖g_head‖ per step, raw; NaN where the head's is 0."""
        head = self.block("raw_norm", self.blocks[-1])
        ratio: np.ndarray = self.block("raw_norm", self.bottom) / np.where(head > 0, head, np.nan)
        return ratio


def thirds(values: np.ndarray) -> tuple[float, float, float]:
    """Return the medians of the first, middle and last third of a series, NaN left out; NaN where all are."""
    first, middle, last = (part[np.isfinite(part)] for part in np.array_split(np.asarray(values, float), 3))
    return tuple(float(np.median(p)) if len(p) else math.nan for p in (first, middle, last))  # type: ignore[return-value]


def _whole(norms: np.ndarray) -> np.ndarray:
    whole: np.ndarray = np.sqrt(np.square(norms.astype(float)).sum(axis=1))
    return whole
