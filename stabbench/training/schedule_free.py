"""Schedule-free AdamW: gradients are taken at one point, the model is another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from stabbench.training.foreach import ForeachOptimizer


class ScheduleFreeAdamW(ForeachOptimizer):
    """AdamW on z, averaged to x, with gradients at y between the two, in place of a falling learning rate::

        v ← β₂v + (1−β₂)g²;  γ = η√(1−β₂ᵗ);  z ← z − γ(g/(√v + ε) + λy)
        x ← (1−c)x + cz  with  c = γ²/Σγ²;  y ← (1−β₁)z + β₁x

    where g is the gradient at y and all three begin at the same weights. Source: Defazio et al. 2024, arXiv:2405.15682,
    Algorithm 1. The model's parameters hold y while it trains; `evaluation_weights` and `settle` put x in their place:
    x is what is evaluated, and what training ends with. η may still be warmed up; a falling one is not needed.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], eps: float) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": 0.0})

    def _update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        y = parameters
        b1, b2 = group["betas"]
        states = [self._point(p) for p in y]
        second, z = ([state[name] for state in states] for name in ("exp_avg_sq", "z"))
        rates = [group["lr"] * math.sqrt(1 - b2 ** state["step"]) for state in states]
        shares = [_share(state, rate) for state, rate in zip(states, rates, strict=True)]
        torch._foreach_mul_(second, b2)
        torch._foreach_addcmul_(second, gradients, gradients, 1 - b2)
        update = torch._foreach_div(gradients, torch._foreach_add(torch._foreach_sqrt(second), group["eps"]))
        if group["weight_decay"]:
            torch._foreach_add_(update, y, alpha=group["weight_decay"])
        # x is not kept: y' = (1−c)y + cz − γ(1 − β₁(1−c))·update follows from the three lines above.
        torch._foreach_mul_(y, [1 - share for share in shares])
        torch._foreach_add_(y, torch._foreach_mul(z, shares))
        moves = [rate * (1 - b1 * (1 - share)) for rate, share in zip(rates, shares, strict=True)]
        torch._foreach_sub_(y, torch._foreach_mul(update, moves))
        torch._foreach_sub_(z, torch._foreach_mul(update, rates))

    def averages(self) -> list[tuple[Tensor, Tensor]]:
        """Return (parameter, x) of every parameter that has been trained: x = (y − (1−β₁)z)/β₁."""
        found = []
        for group in self.param_groups:
            b1 = group["betas"][0]
            for y in (parameter for parameter in group["params"] if "z" in self.state[parameter]):
                found.append((y, y.detach().lerp(self.state[y]["z"], 1 - 1 / b1)))
        return found

    def _point(self, parameter: Tensor) -> dict[str, Any]:
        state = self._state(parameter, "exp_avg_sq")
        if "z" not in state:
            state["z"], state["weight"] = parameter.detach().clone(), 0.0
        return state


def _share(state: dict[str, Any], rate: float) -> float:
    """Return c = γ²/Σγ²; 0 while every rate was 0."""
    state["weight"] += rate * rate
    return float(rate * rate / state["weight"]) if state["weight"] > 0 else 0.0


@contextmanager
def evaluation_weights(optimizer: Optimizer) -> Iterator[None]:
    """Put the weights to evaluate into the model for a while; only `ScheduleFreeAdamW` has others than those trained.

    The trained ones are kept aside and put back bit by bit, so that looking changes nothing.
    """
    if not isinstance(optimizer, ScheduleFreeAdamW):
        yield
        return
    kept = settle(optimizer)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in kept:
                parameter.copy_(value)


@torch.no_grad()
def settle(optimizer: Optimizer) -> list[tuple[Tensor, Tensor]]:
    """Put the weights to evaluate into the model for good; return (parameter, what stood there before)."""
    if not isinstance(optimizer, ScheduleFreeAdamW):
        return []
    averages = optimizer.averages()
    kept = [(parameter, parameter.detach().clone()) for parameter, _ in averages]
    for parameter, average in averages:
        parameter.copy_(average)
    return kept
