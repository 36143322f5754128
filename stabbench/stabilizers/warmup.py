"""Linear warmup of the learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stabbench.stabilizers.base import Schedule, Stabilizer


@dataclass(kw_only=True)
class Warmup(Stabilizer):
    """Raises the learning rate linearly over the first steps, η_t = η (t+1)/T_w, then follows the schedule."""

    paper = "Devlin et al. (2019), arXiv:1810.04805, §A.2; as a stabilizer: Mosbach et al. (2021), arXiv:2006.04884"
    equation = (
        "η_t = η (t+1)/T_w for t < T_w, then the base schedule stretched over the rest: linear gives η (T−t)/(T−T_w)"
    )
    changes = "the learning rate of the first T_w = ⌈fraction · T⌉ steps, and by stretching that of the others"
    cost = "none"
    departures = "the first step is taken at η/T_w; common implementations start at 0 and waste a step"
    pitfalls = "bias correction of Adam is an implicit warmup too; change one of them at a time"
    null = {"fraction": 0.0}

    fraction: Annotated[float, Field(ge=0, lt=1, description="share of all steps")] = 0.1

    def wrap_schedule(self, schedule: Schedule, steps: int) -> Schedule:
        """Return the schedule with a linear rise before it."""
        # Rounded first: 0.1 · 70 is a little above 7 in floating point.
        rise = math.ceil(round(self.fraction * steps, 9))
        if rise == 0:
            return schedule

        def warmed(step: float) -> float:
            if step < rise:
                return (step + 1) / rise * schedule(0)
            return schedule((step - rise) * steps / (steps - rise))

        return warmed
