"""How far two predictions for the same examples are apart."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def symmetric_kl(first: Tensor, second: Tensor) -> Tensor:
    """Return KL(p‖q) + KL(q‖p) ≥ 0 of each example, (B,), for logits (B, C) of p and q.

    Written as Σ_c (p_c − q_c)(log p_c − log q_c), in which no logarithm of a probability that is 0 is taken.
    """
    p, q = functional.log_softmax(first, dim=-1), functional.log_softmax(second, dim=-1)
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=-1)
