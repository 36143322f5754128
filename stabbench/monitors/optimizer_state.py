"""How far the gradients run ahead of Adam's second moment, and how much of it ε hides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from stabbench.models.anatomy import Anatomy
from stabbench.monitors._blocks import Blocks
from stabbench.monitors.base import Monitor, Step
from stabbench.records import Measurement

SECOND_MOMENT = "exp_avg_sq"
DOMINATED = 10.0
PART = 2**16
"""Weights that are looked at together: temporaries of a whole word-embedding table cost more than the arithmetic."""


@dataclass(kw_only=True)
class OptimizerState(Monitor):
    """Records Adam's RMS_t and the share of weights whose step ε dominates, per block, every few steps.

    Arrays in ``trace.npz`` (K measured steps, L blocks), float32: optimizer_step (K,) int64, adam_rms (K, L),
    epsilon_share (K, L); a block that has no weight with a second moment is NaN. An optimizer without one per weight
    (SGD, Lion, Adafactor) gives none of them. v̂ is v as the optimizer uses it: corrected for its start where it
    corrects, as it is where it does not, so that a missing correction shows as RMS_t near 1/√(1 − β₂) at first.

    Measured are ``optimizer.adam_rms``, the largest of all measured steps and blocks, and ``optimizer.epsilon_share``,
    that of all weights at the last one; without a second moment both have no value.
    """

    paper = "RMS_t: Wortsman et al. (2023), arXiv:2304.13013; ε dominance: Wortsman et al. (2023), arXiv:2309.14322"
    equation = "RMS_t = √mean(g²/max(v̂, ε²)) over a block's weights;  share of weights with √v̂ < 10 ε"
    changes = "nothing"
    cost = "two reads of the gradients and the second moments per measured step"
    departures = "per block, not per tensor; v̂ after the step, which holds g² already"
    pitfalls = "a word embedding that no text of the step has counts with g = 0 and draws its block's RMS down"

    every: Annotated[int, Field(ge=1, description="steps between two measurements")] = 20

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Lay out which parameter belongs to which block."""
        self._blocks = Blocks(model, anatomy)
        self._steps: list[int] = []
        self._found: list[Tensor] = []
        self._scratch: Tensor | None = None

    def observe(self, step: Step) -> None:
        """Measure where the step's turn has come."""
        if step.index % self.every:
            return
        groups = {id(p): group for group in step.optimizer.param_groups for p in group["params"]}
        rows = [self._row(p, groups.get(id(p)), step.optimizer) for p in self._blocks.parameters]
        if any(row is not None for row in rows):
            none = torch.zeros(3, device=self._blocks.parameters[0].device)
            self._steps.append(step.index)
            self._found.append(self._blocks.sum(torch.stack([none if r is None else r for r in rows], dim=1)))

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        if not self._found:
            return {}
        squares, dominated, counts = torch.stack(self._found, dim=1).double().cpu().numpy()
        known = np.where(counts > 0, counts, np.nan)
        return {
            "optimizer_step": np.array(self._steps, dtype=np.int64),
            "adam_rms": np.sqrt(squares / known).astype(np.float32),
            "epsilon_share": (dominated / known).astype(np.float32),
        }

    def measurements(self) -> list[Measurement]:
        """Return the numbers named in the class docstring; n counts measured steps."""
        arrays, n = self.arrays(), len(self._steps)
        rms, share = None, None
        if arrays:
            rms = float(np.nanmax(arrays["adam_rms"])) if np.isfinite(arrays["adam_rms"]).any() else math.nan
            _, dominated, counts = self._found[-1].double().sum(dim=1).tolist()
            share = dominated / counts
        return [
            Measurement("optimizer.adam_rms", rms, "ratio", "neither", {}, n, n),
            Measurement("optimizer.epsilon_share", share, "share", "neither", {}, min(n, 1), n),
        ]

    def _row(self, parameter: nn.Parameter, group: Mapping[str, Any] | None, optimizer: Optimizer) -> Tensor | None:
        """Return (3,): Σ g²/max(v̂, ε²), number of weights with √v̂ < 10 ε, number of weights; None without a v."""
        state = optimizer.state.get(parameter, {})
        gradient, second = parameter.grad, state.get(SECOND_MOMENT)
        if gradient is None or group is None or not isinstance(second, Tensor) or second.shape != parameter.shape:
            return None
        epsilon = float(group["eps"])
        steps = torch.as_tensor(state["step"], dtype=torch.float64, device=second.device)
        correction = (1 - float(group["betas"][1]) ** steps).to(second.dtype)
        parts = zip(torch.split(gradient.flatten(), PART), torch.split(second.flatten(), PART), strict=True)
        sums = torch.stack([self._part(*part, correction, epsilon) for part in parts]).sum(dim=0)
        return torch.cat([sums, sums.new_tensor([float(parameter.numel())])])

    def _part(self, gradient: Tensor, second: Tensor, correction: Tensor, epsilon: float) -> Tensor:
        """Return the two sums over a part of a parameter that fits into the processor's cache."""
        if self._scratch is None:
            self._scratch = torch.empty((2, PART), dtype=second.dtype, device=second.device)
        estimate, ratio = (row[: len(second)] for row in self._scratch)
        torch.div(second, correction, out=estimate)
        small = (estimate < (DOMINATED * epsilon) ** 2).sum()
        torch.mul(gradient, gradient, out=ratio).div_(estimate.clamp_(min=epsilon**2))
        return torch.stack([ratio.sum(), small.to(ratio.dtype)])
