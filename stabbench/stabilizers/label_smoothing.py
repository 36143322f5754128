"""Targets that leave some probability to every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from stabbench.models.batch import Batch
from stabbench.stabilizers.base import Forward, Loss, Objective, Stabilizer


@dataclass(kw_only=True)
class LabelSmoothing(Stabilizer):
    """Trains towards (1 − ε) of the label and ε of the uniform distribution over the K classes."""

    paper = "Szegedy, Vanhoucke, Ioffe, Shlens & Wojna (2016), arXiv:1512.00567, §7"
    equation = (
        "L = (1 − ε) CE + ε U, with U = −(1/K) Σ_k log p_k; written as L + ε(U − CE) where L is another objective"
    )
    changes = "the objective; the trace keeps the plain cross-entropy"
    cost = "none worth naming; no pass"
    departures = "none"
    pitfalls = (
        "the objective does not go to 0: at the best fit it is the entropy of the smoothed target; compare arms on the "
        "plain cross-entropy. Stabilizers that run the loss several times, such as r_drop, must stand after it in the "
        "list, or only the first of their passes is smoothed. Probabilities are less confident by design, which moves "
        "calibration and the queries that attacks need"
    )
    null = {"epsilon": 0.0}

    epsilon: Annotated[float, Field(ge=0, lt=1, description="ε: probability spread over all classes")] = 0.1

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective with smoothed targets."""
        if self.epsilon == 0:
            return loss

        def smoothed(forward: Forward, batch: Batch) -> Objective:
            plain = loss(forward, batch)
            assert batch.labels is not None
            uniform = uniform_cross_entropy(plain.logits, batch.labels)
            total = plain.total + self.epsilon * (uniform - plain.cross_entropy)
            return Objective(total, plain.cross_entropy, plain.logits)

        return smoothed


def uniform_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return −(1/K) Σ_k log p_k, averaged over the places that have a label (not −100), for logits (…, K); a scalar."""
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten(), label_smoothing=1.0)
