"""Lion: steps of one size in every coordinate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stabbench.training.foreach import ForeachOptimizer


class Lion(ForeachOptimizer):
    """Sign of an interpolated momentum: θ ← θ − η(sign(β₁m + (1−β₁)g) + λθ);  m ← β₂m + (1−β₂)g.

    Source: Chen et al. 2023, arXiv:2302.06675, Algorithm 2. Every coordinate moves by η whatever its gradient: use a
    learning rate 3 to 10 times smaller than AdamW's and a weight decay as much larger. It wants batches of 64 or more.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float]) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    def _update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        b1, b2 = group["betas"]
        momentum = [self._state(p, "exp_avg")["exp_avg"] for p in parameters]
        update = torch._foreach_sign(torch._foreach_lerp(momentum, gradients, 1 - b1))
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, update, alpha=-group["lr"])
        torch._foreach_lerp_(momentum, gradients, 1 - b2)
