"""The learning-rate schedules before stabilizers, and how many steps a training has."""

from __future__ import annotations

import math

from stabbench.stabilizers.base import Schedule
from stabbench.suite.train_options import Plateau, TrainOptions


def steps_of(train: TrainOptions, examples: int) -> int:
    """Return the number of optimizer steps: `max_steps`, or those of `epochs` over so many examples."""
    return train.max_steps or train.epochs * math.ceil(examples / train.batch_size)


def base_schedule(options: TrainOptions, steps: int) -> Schedule:
    """Return the factor of the rate at step t of T, t from 0, before stabilizers.

    Constant: 1. Linear: (T − t)/T, from 1 to 1/T. Cosine: ½(1 + cos(πt/T)), from 1 to nearly 0 (Loshchilov & Hutter
    2017, arXiv:1608.03983, without restarts). Plateau: `PlateauSchedule`.
    """
    match options.schedule:
        case "constant":
            return lambda step: 1.0
        case "linear":
            return lambda step: (steps - step) / steps
        case "cosine":
            return lambda step: 0.5 * (1.0 + math.cos(math.pi * step / steps))
        case "plateau":
            return PlateauSchedule(options.plateau)


class PlateauSchedule:
    """A constant factor that is lowered where the watched loss has not fallen for some evaluations.

    A loss is a new lowest where it is below (1 − threshold) times the lowest so far; after `patience` evaluations in a
    row without one the factor is multiplied, and counting begins anew. A loss that is NaN is never a new lowest.
    """

    def __init__(self, options: Plateau) -> None:
        self.options = options
        self.factor = 1.0
        self._lowest = math.inf
        self._waited = 0

    def __call__(self, step: float) -> float:
        """Return the factor as it is now, whatever the step."""
        return self.factor

    def evaluated(self, loss: float) -> None:
        """See the watched loss at an evaluation."""
        if loss < self._lowest * (1.0 - self.options.threshold):
            self._lowest, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self.options.patience:
            self.factor *= self.options.factor
            self._waited = 0
