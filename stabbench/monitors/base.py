"""What watches training and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.records import Measurement
from stabbench.registry import Plugin


@dataclass(frozen=True)
class Step:
    """What monitors see after each optimizer step; tensors stay on the device, so that nothing waits for it.

    Attributes:
        index: 0-based.
        cross_entropy: scalar, plain mean cross-entropy.
        objective: scalar that was differentiated.
        raw_norms: (P,) L2 norms per parameter before any stabilizer acted on the gradients.
        applied_norms: (P,) after.
        learning_rate: of the head's group.
        model: the model after the step.
        logits: of the first pass over all micro-batches, in their order; the class is the last dimension.
        batches: the step's micro-batches, on the device, as stabilizers left them.
        optimizer: after the step; ``.grad`` of its parameters still holds the applied gradients.
    """

    index: int
    cross_entropy: Tensor
    objective: Tensor
    raw_norms: Tensor
    applied_norms: Tensor
    learning_rate: float
    model: nn.Module
    logits: Tensor
    batches: Sequence[Batch]
    optimizer: Optimizer


@dataclass(frozen=True)
class RawGradients:
    """What monitors see before any stabilizer acts on the gradients and before the weights move.

    Attributes:
        index: 0-based step.
        parameters: all trainable parameters; ``.grad`` holds the raw gradient, or None. Read only.
        batches: the step's micro-batches, on the device.
        gradient: (batch, draw) → gradients of plain mean cross-entropy at the present weights, in training mode with
            the dropout masks of `draw`, in the order of `parameters`, zeros where there is none; leaves ``.grad`` and
            the random state alone. Costs one forward and one backward pass.
    """

    index: int
    parameters: Sequence[nn.Parameter]
    batches: Sequence[Batch]
    gradient: Callable[[Batch, int], list[Tensor]]


class Monitor(Plugin):
    """Watches training; removing it changes no weight.

    A subclass is a dataclass whose fields are its options. Hooks, in this order: `start`, then per step
    `on_raw_gradients` and `observe`, then `end`. None of them may wait for the device.
    """

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """See the model before the first step."""

    def on_raw_gradients(self, gradients: RawGradients) -> None:
        """See the gradients of a step before stabilizers act on them."""

    def observe(self, step: Step) -> None:
        """See one optimizer step."""

    def end(self) -> None:
        """See the weights after the last step, before stabilizers finish the model."""

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays to store in ``trace.npz``."""
        return {}

    def measurements(self) -> list[Measurement]:
        """Return the numbers that summarise the trace."""
        return []
