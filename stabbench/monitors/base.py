"""What watches training and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
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
    """

    index: int
    cross_entropy: Tensor
    objective: Tensor
    raw_norms: Tensor
    applied_norms: Tensor
    learning_rate: float
    model: nn.Module


class Monitor(Plugin):
    """Watches training; removing it changes no weight.

    A subclass is a dataclass whose fields are its options.
    """

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """See the model before the first step."""

    def observe(self, step: Step) -> None:
        """See one optimizer step."""

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays to store in ``trace.npz``."""
        return {}

    def measurements(self) -> list[Measurement]:
        """Return the numbers that summarise the trace."""
        return []
