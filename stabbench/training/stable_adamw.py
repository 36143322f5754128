"""AdamW whose step shrinks for a tensor whose gradient outgrows its second moment."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from stabbench.training.foreach import ForeachOptimizer


class StableAdamW(ForeachOptimizer):
    """AdamW with update clipping, per tensor::

        m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  m̂ = m/(1−β₁ᵗ);  v̂ = v/(1−β₂ᵗ)
        RMS = √mean(g²/max(v̂, ε²));  η = α/max(1, RMS);  θ ← θ − η(m̂/(√v̂ + ε) + λθ)

    A gradient that is large for its history shrinks the step of its tensor, which takes the place of gradient clipping.
    Source: Wortsman et al. 2023, arXiv:2304.13013, Algorithm 2. The debiased β̂ of that algorithm give exactly m̂ and v̂.
    Departure: weight decay uses the clipped η, as the paper's public re-implementations do; the authors' code uses α.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    def _update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        (b1, b2), eps = group["betas"], group["eps"]
        states = [self._state(p, "exp_avg", "exp_avg_sq") for p in parameters]
        first, second = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        steps = [state["step"] for state in states]
        torch._foreach_lerp_(first, gradients, 1 - b1)
        torch._foreach_mul_(second, b2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - b2)
        root = torch._foreach_sqrt(torch._foreach_div(second, [1 - b2**t for t in steps]))
        # max(v̂, ε²) = max(√v̂, ε)²
        relative = torch._foreach_norm(torch._foreach_div(gradients, torch._foreach_clamp_min(root, eps)))
        sizes = [math.sqrt(p.numel()) for p in parameters]
        rates = [group["lr"] / (norm / size).clamp(min=1.0) for norm, size in zip(relative, sizes, strict=True)]
        update = torch._foreach_div(first, [1 - b1**t for t in steps])
        torch._foreach_div_(update, torch._foreach_add(root, eps))
        if group["weight_decay"]:
            torch._foreach_add_(update, parameters, alpha=group["weight_decay"])
        torch._foreach_mul_(update, rates)
        torch._foreach_sub_(parameters, update)
