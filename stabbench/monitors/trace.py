"""The trace of a training: losses, gradient norms per block before and after stabilizers act, and update ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.monitors._blocks import Blocks
from stabbench.monitors.base import Monitor, Step
from stabbench.records import Measurement


@dataclass(kw_only=True)
class Trace(Monitor):
    """Records every step's loss and gradient norms per block, and ‖Δθ‖/‖θ‖ per block every few steps.

    A block's norm is √Σ‖g_p‖² over its parameters p. Arrays in ``trace.npz`` (T steps, L blocks, K updates): step (T,),
    cross_entropy (T,), objective (T,), learning_rate (T,), raw_norm (T, L), applied_norm (T, L), update_step (K,),
    update_ratio (K, L), all but steps float32; norm_spike and loss_spike (T,) bool.

    Measured are the mean global norms, ``gradient.clip_rate`` (share of steps whose gradients a stabilizer changed),
    ``gradient.clip_factor`` (median over steps of ‖applied‖/‖raw‖), ``gradient.over_bound`` (share of steps with
    ‖raw‖ > C, or not finite), and the counts of spikes.
    """

    version: ClassVar[int] = 2
    paper = "norms per block before and after clipping, as logged by Mosbach et al. (2021), arXiv:2006.04884"
    equation = (
        "‖g_l‖ = √Σ_{p∈l} ‖g_p‖²;  update ratio = ‖θ_{t+1} − θ_t‖ / ‖θ_t‖ per block l;  a norm above 3 medians of the "
        "25 before it is a spike, and so is a loss of at least 2 such medians that is back where training began"
    )
    changes = "nothing"
    cost = (
        "one read of the gradients per step (two where a stabilizer changes them), of the word embeddings only of the "
        "batch's rows; per update ratio one copy and two reads of the weights"
    )
    departures = (
        "loss spikes after the loss-spike rule of llm-foundry (twice the window's mean), but single steps count"
    )
    pitfalls = "raw norms of R-Drop or FGM are gradients of another objective; compare arms on the gradient probe"

    update_every: Annotated[int, Field(ge=1, description="steps between two update ratios")] = 20
    spike_window: Annotated[int, Field(ge=2, description="steps that a spike is judged against")] = 25
    spike_factor: Annotated[float, Field(gt=1, description="a norm above this many window medians is a spike")] = 3.0
    bound: Annotated[float, Field(gt=0, description="C: steps whose global raw norm is above it are counted")] = 1.0

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Lay out which parameter belongs to which block."""
        self._blocks = Blocks(model, anatomy)
        self._steps: list[int] = []
        self._rates: list[float] = []
        self._losses: list[tuple[Tensor, Tensor]] = []
        self._norms: list[tuple[Tensor, Tensor]] = []
        self._update_steps: list[int] = []
        self._ratios: list[Tensor] = []
        self._copy = [torch.empty_like(weight) for weight in self._blocks.weights()]
        self._remember()

    def observe(self, step: Step) -> None:
        """Keep the step's tensors on the device; measure the update where its turn has come."""
        if step.index % self.update_every == 0:
            self._ratios.append(self._blocks.distance(self._copy) / self._blocks.norms(self._copy))
            self._update_steps.append(step.index)
        if (step.index + 1) % self.update_every == 0:
            self._remember()
        self._steps.append(step.index)
        self._rates.append(step.learning_rate)
        self._losses.append((step.cross_entropy, step.objective))
        self._norms.append((step.raw_norms, step.applied_norms))

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        raw, applied = (self._by_block(which) for which in (0, 1))
        cross_entropy, objective = (self._loss(which) for which in (0, 1))
        ratios = torch.stack(self._ratios).float().cpu().numpy()
        return {
            "step": np.array(self._steps),
            "cross_entropy": cross_entropy,
            "objective": objective,
            "learning_rate": np.array(self._rates, dtype=np.float32),
            "raw_norm": raw,
            "applied_norm": applied,
            "update_step": np.array(self._update_steps, dtype=np.int64),
            "update_ratio": ratios,
            "norm_spike": spikes_of(_global(raw), self.spike_window, self.spike_factor),
            "loss_spike": loss_spikes_of(cross_entropy, self.spike_window),
        }

    def measurements(self) -> list[Measurement]:
        """Return the numbers named in the class docstring, each over all steps."""
        raw, applied = (_global(self._by_block(which)) for which in (0, 1))
        losses = self._loss(0)
        n = len(self._steps)
        # A gradient that is not finite was not left as it was: unequal to itself, it counts as changed.
        clipped = float((~(applied >= raw * (1 - 1e-4))).mean())
        over = float((~(raw <= self.bound)).mean())
        spikes = int(spikes_of(raw, self.spike_window, self.spike_factor).sum())
        jumps = int(loss_spikes_of(losses, self.spike_window).sum())
        return [
            Measurement("gradient.raw_norm", float(raw.mean()), "norm", "neither", {}, n, n),
            Measurement("gradient.applied_norm", float(applied.mean()), "norm", "neither", {}, n, n),
            Measurement("gradient.clip_rate", clipped, "share", "neither", {}, n, n),
            Measurement("gradient.clip_factor", clip_factor(raw, applied), "ratio", "neither", {}, n, n),
            Measurement("gradient.over_bound", over, "share", "neither", {"bound": self.bound}, n, n),
            Measurement("gradient.spikes", float(spikes), "count", "lower", {}, n, n),
            Measurement("train.loss_spikes", float(jumps), "count", "lower", {}, n, n),
        ]

    def _remember(self) -> None:
        torch._foreach_copy_(self._copy, self._blocks.weights())

    def _by_block(self, which: int) -> np.ndarray:
        norms = torch.stack([pair[which] for pair in self._norms])
        array: np.ndarray = self._blocks.joined(norms).float().cpu().numpy()
        return array

    def _loss(self, which: int) -> np.ndarray:
        array: np.ndarray = torch.stack([losses[which] for losses in self._losses]).float().cpu().numpy()
        return array


def _global(norms: np.ndarray) -> np.ndarray:
    """Return (T,) global norms of (T, L) norms of blocks."""
    whole: np.ndarray = np.sqrt(np.square(norms.astype(float)).sum(axis=1))
    return whole


def clip_factor(raw: np.ndarray, applied: np.ndarray) -> float | None:
    """Return the median over steps of ‖applied‖/‖raw‖; steps without a finite, positive raw norm have none.

    Args:
        raw: (T,) global norms before stabilizers act.
        applied: (T,) the same after.
    """
    known = np.isfinite(raw) & (raw > 0) & np.isfinite(applied)
    return float(np.median(applied[known] / raw[known])) if known.any() else None


def spikes_of(norms: np.ndarray, window: int, factor: float) -> np.ndarray:
    """Return (T,) bool: which norms are above `factor` × the median of the up to `window` norms before them.

    A norm that is not finite is a spike. The first `window` steps are judged too, once five norms stand before them.

    Args:
        norms: (T,) global norms.
        window: steps.
        factor: above 1.
    """
    found: np.ndarray = ~np.isfinite(norms)
    for index in np.flatnonzero(np.isfinite(norms)):
        before = norms[max(0, index - window) : index]
        before = before[np.isfinite(before)]
        found[index] = len(before) >= 5 and norms[index] > factor * np.median(before)
    return found


def loss_spikes_of(losses: np.ndarray, window: int, factor: float = 2.0) -> np.ndarray:
    """Return (T,) bool: which losses are ≥ `factor` × the median of the window before, and ≥ the median of the first.

    The second condition leaves out what is no spike: a loss of 0.2 among losses of 0.05 is one wrong example. A loss
    that is not finite is a spike.

    Args:
        losses: (T,) cross-entropies of batches.
        window: steps.
        factor: above 1.
    """
    finite = losses[:window][np.isfinite(losses[:window])]
    began = float(np.median(finite)) if len(finite) else 0.0
    found = spikes_of(losses, window, factor)
    return np.asarray(found & (~np.isfinite(losses) | (losses >= began)))
