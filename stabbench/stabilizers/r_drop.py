"""Two dropout passes that must agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stabbench.models.batch import Batch
from stabbench.stabilizers._divergence import symmetric_kl
from stabbench.stabilizers.base import Forward, Loss, Objective, Stabilizer


@dataclass(kw_only=True)
class RDrop(Stabilizer):
    """Runs every batch through two dropout masks and pulls the predictions together by a symmetric KL divergence."""

    paper = "Wu et al. (2021), arXiv:2106.14448 (R-Drop)"
    equation = "L = ½(CE₁ + CE₂) + α · ½(KL(p₁‖p₂) + KL(p₂‖p₁)), all averaged over the batch"
    changes = "the objective"
    cost = "2 forward and 2 backward passes per step"
    departures = (
        "KL is averaged over the batch like the cross-entropy; released code sums it, so that its effective α grows "
        "with the batch size (α = 0.5 there at batch 16 is about 4 here): legacy_bug does so too"
    )
    pitfalls = "does nothing without dropout; α = 0 still averages two dropout masks"
    null = {"alpha": 0.0}
    passes = ("2", "2")

    alpha: Annotated[float, Field(ge=0, description="α: weight of the divergence")] = 1.0
    legacy_bug: Annotated[
        bool,
        Field(description="sum the divergence over the batch, beside a mean cross-entropy, as the released code does"),
    ] = False

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective with a second pass under its own dropout masks."""

        def consistent(forward: Forward, batch: Batch) -> Objective:
            first = loss(forward, batch)
            second = loss(lambda given, draw=0: forward(given, draw + 1), batch)
            both = symmetric_kl(first.logits, second.logits)
            divergence = 0.5 * (both.sum() if self.legacy_bug else both.mean())
            total = 0.5 * (first.total + second.total) + self.alpha * divergence
            return Objective(total, first.cross_entropy, first.logits)

        return consistent
