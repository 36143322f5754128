"""Scaling of all gradients together to a largest global norm that is known on the device only."""

from __future__ import annotations

import torch
from torch import Tensor

from stabbench.stabilizers.base import Gradients


def global_norm(gradients: Gradients) -> Tensor:
    """Return ‖g‖₂ over all parameters, a scalar on the device."""
    norm: Tensor = torch.linalg.vector_norm(gradients.norms)
    return norm


def scale_to(gradients: Gradients, norm: Tensor, limit: Tensor) -> None:
    """Scale in place: g ← g · min(1, limit/‖g‖), where `norm` is ‖g‖.

    A gradient within the limit keeps its bits, and so does one whose norm is NaN: that is not hidden. Nothing waits for
    the device.
    """
    factor = torch.where(norm > limit, limit / norm, 1.0)
    torch._foreach_mul_([p.grad for p in gradients.parameters if p.grad is not None], factor)
