"""How many forward and backward passes a step really made: what a stabilizer costs, on any machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import register_multi_grad_hook


class PassCounter:
    """Counts the forwards of a model in training mode, and how often one of them was differentiated.

    A backward pass is one that reaches the output of the top block or the logits, whatever it comes from: the loss, a
    penalty on hidden states, or a gradient that a stabilizer takes for itself. Passes in evaluation mode are not
    counted, nor what monitors do.

    Attributes:
        forwards, backwards: passes so far.
    """

    def __init__(self, model: nn.Module, top: nn.Module) -> None:
        self.forwards = 0
        self.backwards = 0
        self._counting = False
        self._top: Tensor | None = None
        self._handles = [top.register_forward_hook(self._leave_top), model.register_forward_hook(self._leave_model)]

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count the passes made inside."""
        self._counting = True
        try:
            yield
        finally:
            self._counting, self._top = False, None

    def remove(self) -> None:
        """Take the hooks off the model."""
        for handle in self._handles:
            handle.remove()

    def _leave_top(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._top = output[0] if isinstance(output, tuple) else output

    def _leave_model(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not self._counting or not module.training:
            return
        self.forwards += 1
        seen = [tensor for tensor in (self._top, output.logits) if tensor is not None and tensor.requires_grad]
        self._top = None
        if seen and torch.is_grad_enabled():
            register_multi_grad_hook(seen, self._differentiated, mode="any")

    def _differentiated(self, gradients: Sequence[Tensor | None] | Tensor) -> None:
        self.backwards += 1
