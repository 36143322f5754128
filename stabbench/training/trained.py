"""What the training loop gives beside the trained model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from stabbench.training.evaluation import Evaluations


@dataclass(frozen=True)
class Trained:
    """The traces that matching, failure detection and the report need.

    Attributes:
        steps: optimizer steps done.
        order: per epoch, hash of the example ids in the order seen; of an epoch that is cut short, the whole order.
        dropout: hash of the first forward's masks.
        finite_loss: False where the loss was NaN or infinite; training stopped there.
        probe_step: (C,) steps at which the gradient probe ran.
        probe_norm: (C,) tensors of (L,) per-block norms.
        evaluations: what was found and decided after each epoch.
        step_seconds: seconds spent in steps, evaluations left out.
        forwards, backwards: passes of the model in training.
    """

    steps: int
    order: list[str]
    dropout: str
    finite_loss: bool
    probe_step: list[int]
    probe_norm: list[Tensor]
    evaluations: Evaluations
    step_seconds: float
    forwards: int
    backwards: int
