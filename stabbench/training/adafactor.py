"""Adafactor: a second moment in rows and columns, and update clipping."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stabbench.training.foreach import ForeachOptimizer

EPS = 1e-30
CLIP = 1.0
DECAY = -0.8


class Adafactor(ForeachOptimizer):
    """Adafactor with an external learning rate and no first moment::

        β̂ = 1 − t^(−0.8)
        matrices:  r ← β̂r + (1−β̂)·mean over columns of (g² + ε);  c ← β̂c + (1−β̂)·mean over rows;  v = r cᵀ/mean(r)
        vectors:   v ← β̂v + (1−β̂)(g² + ε)
        u = g/√v;  θ ← θ − η(u/max(1, RMS(u)/d) + λθ)

    with ε = 10⁻³⁰ and d = 1. Source: Shazeer & Stern 2018, arXiv:1804.04235, Algorithms 4 and 5. Departures: η is the
    schedule's, not relative to the size of the weights, as usual for fine-tuning (``scale_parameter`` and
    ``relative_step`` off). torch's own Adafactor always scales η by the weights, cuts it at 1/√t, adds ε elsewhere, and
    reads two norms of every tensor back from the device.
    """

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": 0.0})

    def _update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            update = self._direction(parameter, gradient)
            size = torch.linalg.vector_norm(update) / math.sqrt(update.numel())
            update.div_((size / CLIP).clamp_(min=1.0))
            parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])

    def _direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self._state(parameter)
        share = state["step"] ** DECAY  # 1 − β̂
        square = gradient.square().add_(EPS)
        if gradient.dim() < 2:
            second: Tensor = state.setdefault("second", torch.zeros_like(square)).lerp_(square, share)
            return second.rsqrt().mul_(gradient)
        row_mean, column_mean = square.mean(dim=-1, keepdim=True), square.mean(dim=-2, keepdim=True)
        row: Tensor = state.setdefault("row", torch.zeros_like(row_mean)).lerp_(row_mean, share)
        column: Tensor = state.setdefault("column", torch.zeros_like(column_mean)).lerp_(column_mean, share)
        # Two roots, not the root of a product, which would be too small for float32 where both are ε.
        return gradient * (row / row.mean(dim=-2, keepdim=True)).rsqrt() * column.rsqrt()
