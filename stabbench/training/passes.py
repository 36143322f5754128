"""How many forward and backward passes training really made: what a stabilizer costs, on any machine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class PassCounter:
    """Counts the forwards of a model in training mode, and those of them whose logits got a gradient.

    A gradient that a stabilizer takes of the logits for itself, such as FreeLB's ascent, counts as a backward pass too.
    """

    def __init__(self, model: nn.Module) -> None:
        self.forwards = 0
        self.backwards = 0
        self._handle = model.register_forward_hook(self._count)

    def remove(self) -> None:
        """Stop counting."""
        self._handle.remove()

    def _count(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not module.training:
            return
        self.forwards += 1
        if torch.is_grad_enabled() and isinstance(output.logits, Tensor) and output.logits.requires_grad:
            output.logits.register_hook(self._differentiated)  # type: ignore[no-untyped-call]

    def _differentiated(self, gradient: Tensor) -> None:
        self.backwards += 1
