"""What the loop shows to monitors, and the extra gradients it makes for those that ask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stabbench.models.batch import Batch
from stabbench.monitors.base import Monitor, RawGradients
from stabbench.training.dropout import MatchedDropout

WATCHED = -1
"""Number of the micro-batch under which forwards for monitors draw their dropout masks; training's start at 0."""


@dataclass
class Watching:
    """The monitors of one training.

    Attributes:
        monitors: in suite order.
        model, parameters: the model in training, and its trainable parameters.
        dropout: masks of the extra forwards are drawn here.
        objective: plain mean cross-entropy of (forward, batch).
        autocast: precision of training's forwards.
    """

    monitors: Sequence[Monitor]
    model: nn.Module
    parameters: list[nn.Parameter]
    dropout: MatchedDropout
    objective: Callable[..., Any]
    autocast: Callable[[], AbstractContextManager[None]]

    def __post_init__(self) -> None:
        hook = "on_raw_gradients"
        self._early = [m for m in self.monitors if getattr(type(m), hook) is not getattr(Monitor, hook)]

    def raw(self, step: int, batches: Sequence[Batch]) -> None:
        """Show the raw gradients of a step to the monitors that look at them."""
        for monitor in self._early:
            monitor.on_raw_gradients(RawGradients(step, self.parameters, batches, partial(self._gradient, step)))

    def _gradient(self, step: int, batch: Batch, draw: int) -> list[Tensor]:
        def forward(batch: Batch, draw: int = draw) -> Tensor:
            with self.dropout.drawing(step, WATCHED, 0, draw):
                logits: Tensor = self.model(**batch.inputs()).logits
            return logits.float()

        device = self.parameters[0].device
        forked = [] if device.type == "cpu" else [device]
        with torch.random.fork_rng(forked, device_type=device.type if forked else "cuda"), self.autocast():
            loss = self.objective(forward, batch).cross_entropy
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, found, strict=True)]
