"""The gradient noise scale: how many examples a batch needs before its gradient is more signal than noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.monitors.base import Monitor, RawGradients
from stabbench.records import Measurement


@dataclass(kw_only=True)
class NoiseScale(Monitor):
    """Records the signal and the noise of the gradient of plain cross-entropy, from two halves of a batch.

    G² estimates ‖E g‖² and S the trace of the per-example covariance, dropout included; both are unbiased, so G² can
    come out negative where there is little signal. Arrays in ``trace.npz`` (K measured steps): noise_step (K,) int64,
    noise_signal (K,) G² and noise_trace (K,) S, float32, noise_batch (K,) int64 B. Measured is
    ``gradient.noise_scale``, ΣS/ΣG² over the measured steps in examples: infinite where ΣG² ≤ 0 (no signal above the
    noise), without a value where no batch had two examples.
    """

    paper = "McCandlish et al. (2018), arXiv:1812.06162, appendix A"
    equation = (
        "g_B = (g₁ + g₂)/2, b = B/2;  G² = (B‖g_B‖² − b‖g_b‖²)/(B − b);  S = (‖g_b‖² − ‖g_B‖²)/(1/b − 1/B) with "
        "‖g_b‖² the mean of the halves';  B_simple = ΣS/ΣG²"
    )
    changes = "nothing"
    cost = (
        "one more forward and backward pass over the batch, in two halves, per measured step: 1.4 steps on a small BERT"
    )
    departures = "sums over the run instead of moving averages; the gradient is plain cross-entropy's in every arm"
    pitfalls = "few measurements make a ratio of two noisy numbers: read its order of magnitude"

    every: Annotated[int, Field(ge=1, description="steps between two measurements")] = 20

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Begin."""
        self._steps: list[int] = []
        self._sizes: list[int] = []
        self._found: list[Tensor] = []

    def on_raw_gradients(self, gradients: RawGradients) -> None:
        """Measure where the step's turn has come."""
        if gradients.index % self.every:
            return
        found = halves(gradients.batches)
        if found is None:
            return
        first, second = (gradients.gradient(half, draw) for draw, half in enumerate(found))
        part = (_square(first) + _square(second)) / 2
        torch._foreach_add_(first, second)
        torch._foreach_mul_(first, 0.5)
        b = len(found[0])
        self._found.append(torch.stack(signal_and_noise(_square(first), part, 2 * b, b)))
        self._steps.append(gradients.index)
        self._sizes.append(2 * b)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        found = torch.stack(self._found).float().cpu().numpy() if self._found else np.zeros((0, 2), np.float32)
        return {
            "noise_step": np.array(self._steps, dtype=np.int64),
            "noise_signal": found[:, 0],
            "noise_trace": found[:, 1],
            "noise_batch": np.array(self._sizes, dtype=np.int64),
        }

    def measurements(self) -> list[Measurement]:
        """Return the number named in the class docstring; n counts measured steps."""
        arrays, n = self.arrays(), len(self._steps)
        value = noise_scale(arrays["noise_signal"], arrays["noise_trace"])
        return [Measurement("gradient.noise_scale", value, "examples", "neither", {}, n, n)]


def halves(batches: Sequence[Batch]) -> tuple[Batch, Batch] | None:
    """Return two batches of equal size: the first two micro-batches where they are, else the halves of the first.

    None where there are fewer than two examples; the last of an odd number is left out.
    """
    if len(batches) > 1 and len(batches[0]) == len(batches[1]):
        return batches[0], batches[1]
    half = len(batches[0]) // 2
    return (_rows(batches[0], 0, half), _rows(batches[0], half, 2 * half)) if half else None


def signal_and_noise(whole: Tensor, part: Tensor, big: int, small: int) -> tuple[Tensor, Tensor]:
    """Return (G², S) from ‖g_B‖² of `big` examples and ‖g_b‖² of `small` ones."""
    signal = (big * whole - small * part) / (big - small)
    noise = (part - whole) / (1 / small - 1 / big)
    return signal, noise


def noise_scale(signal: np.ndarray, noise: np.ndarray) -> float | None:
    """Return ΣS/ΣG²: infinite where ΣG² ≤ 0, NaN where something is not finite, None without measurements.

    Args:
        signal: (K,) estimates G².
        noise: (K,) estimates S.
    """
    if not len(signal):
        return None
    total = float(signal.astype(float).sum())
    if not math.isfinite(total):
        return math.nan
    return float(noise.astype(float).sum()) / total if total > 0 else math.inf


def _square(gradient: Sequence[Tensor]) -> Tensor:
    return torch.stack(torch._foreach_norm(list(gradient))).square().sum()


def _rows(batch: Batch, start: int, stop: int) -> Batch:
    tensors = ("input_ids", "attention_mask", "token_type_ids", "labels")
    cut: dict[str, Any] = {name: None if (t := getattr(batch, name)) is None else t[start:stop] for name in tensors}
    return replace(batch, **cut, examples=batch.examples[start:stop])
