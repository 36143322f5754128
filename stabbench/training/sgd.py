"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from stabbench.training.foreach import ForeachOptimizer


class Sgd(ForeachOptimizer):
    """SGD with heavy-ball momentum and decoupled weight decay: m ← μm + g;  θ ← θ − η(m + λθ).

    Source: Polyak 1964, doi:10.1016/0041-5553(64)90137-5; decay outside the momentum as in Loshchilov & Hutter 2019,
    arXiv:1711.05101, Algorithm 1 (SGDW), where torch's own SGD adds λθ to g.
    """

    def __init__(self, params: Any, lr: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0})

    def _update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        momentum = [self._state(p, "momentum")["momentum"] for p in parameters]
        torch._foreach_mul_(momentum, group["momentum"])
        torch._foreach_add_(momentum, gradients)
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, momentum, alpha=-group["lr"])
