"""What is decided after each epoch: the plateau schedule, early stopping, and which weights are kept.

Only the training loss and the validation split are looked at, never the test split; looking changes no weight and draws
no random number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stabbench.data.example import Example
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.stabilizers.base import Schedule
from stabbench.suite.train_options import EarlyStopping, TrainOptions
from stabbench.training.schedules import PlateauSchedule

BATCH = 32


@dataclass(frozen=True)
class Scores:
    """Validation figures after `step` optimizer steps: mean cross-entropy, and share of right answers."""

    step: int
    loss: float
    accuracy: float


class Validation:
    """Scores a model on the validation split: evaluation mode, float32, texts sorted by length."""

    def __init__(self, examples: Sequence[Example], tokenizer: Any, max_length: int) -> None:
        encoded = encode_texts(tokenizer, [example.content for example in examples], max_length)
        order = sorted(range(len(examples)), key=lambda index: len(encoded[index]))
        self.examples = len(examples)
        self._batches: list[Batch] = [
            collate([encoded[i] for i in part], tokenizer, [examples[i].label for i in part])
            for part in (order[start : start + BATCH] for start in range(0, len(order), BATCH))
        ]

    def scores(self, model: nn.Module, step: int) -> Scores:
        """Return the scores; leaves gradients, random state and mode alone."""
        device = next(model.parameters()).device
        training = model.training
        model.eval()
        loss, right = torch.zeros((), device=device), torch.zeros((), device=device)
        try:
            with torch.no_grad():
                for batch in (batch.to(device) for batch in self._batches):
                    logits = model(**batch.inputs()).logits.float()
                    assert batch.labels is not None
                    loss += nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
                    # A row that is not finite is no answer, though argmax would name a class.
                    right += ((logits.argmax(dim=1) == batch.labels) & logits.isfinite().all(dim=1)).sum()
        finally:
            model.train(training)
        return Scores(step, float(loss) / self.examples, float(right) / self.examples)


@dataclass
class Evaluations:
    """The evaluations of one training.

    Attributes:
        validation: the split, or None where no option looks at it.
        plateau: the schedule to lower, or None.
        watch: whose loss `plateau` watches.
        stopping: when to stop and which weights to keep, or None.
        scores: what was found, in order.
    """

    validation: Validation | None = None
    plateau: PlateauSchedule | None = None
    watch: str = "training"
    stopping: EarlyStopping | None = None
    scores: list[Scores] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.best: Scores | None = None
        self.kept: list[tuple[Tensor, Tensor]] = []
        self._waited = 0

    @classmethod
    def of(cls, train: TrainOptions, schedule: Schedule, validation: Validation | None) -> Evaluations:
        """Return the evaluations of a training with these options; `schedule` is the one before stabilizers."""
        plateau = schedule if isinstance(schedule, PlateauSchedule) else None
        return cls(validation, plateau, train.plateau.watch, train.early_stopping)

    def after(self, model: nn.Module, step: int, training_loss: float) -> bool:
        """Evaluate after `step` steps; return whether to stop. `training_loss` is the mean since the last call."""
        found = None if self.validation is None else self.validation.scores(model, step)
        if found is not None:
            self.scores.append(found)
        if self.plateau is not None:
            watched = training_loss if self.watch == "training" or found is None else found.loss
            self.plateau.evaluated(watched)
        return self.stopping is not None and found is not None and self._stops(self.stopping, found, model)

    def restore(self) -> None:
        """Put the weights of the best evaluation into the model, where they are what is kept."""
        with torch.no_grad():
            for parameter, value in self.kept:
                parameter.copy_(value)

    def details(self, steps: int) -> dict[str, Any]:
        """Return which weights were kept and why training ended, for the cell's record; empty without validation."""
        if self.validation is None:
            return {}
        kept = self.best.step if self.kept and self.best is not None else steps
        return {
            "checkpoint": "best" if self.kept else "last",
            "checkpoint_step": kept,
            "stopped_early": self.stopping is not None and self._waited >= self.stopping.patience,
            "validation": [{"step": s.step, "loss": s.loss, "accuracy": s.accuracy} for s in self.scores],
        }

    def _stops(self, options: EarlyStopping, found: Scores, model: nn.Module) -> bool:
        if self.best is None or _better(found, self.best, options.metric):
            self.best, self._waited = found, 0
            if options.checkpoint == "best":
                # All of them: what is frozen now may be trained later.
                self.kept = [(p, p.detach().clone()) for p in model.parameters()]
        else:
            self._waited += 1
        return self._waited >= options.patience


def _better(new: Scores, old: Scores, metric: str) -> bool:
    """Return whether `new` beats `old` strictly; a loss that is NaN beats nothing, and every number beats it."""
    if metric == "accuracy":
        return new.accuracy > old.accuracy
    return new.loss < old.loss or (math.isnan(old.loss) and not math.isnan(new.loss))
