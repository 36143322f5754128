"""``prune-magnitude``: the smallest weights set to zero. For the study of accuracy only: no speed, no size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import nn

from stabbench.compression._rebuild import Rebuild
from stabbench.compression.base import Material
from stabbench.models.anatomy import anatomy
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class PruneMagnitude(Rebuild):
    """The smallest weights of the encoder's linear maps set to zero: no speed and no size, a study of accuracy.

    The artifact is a dense ``model.safetensors`` with zeros in it.
    """

    version: ClassVar[int] = 1
    smaller: ClassVar[bool] = False
    paper: ClassVar[str] = "Han et al. 2015, arXiv:1506.02626; for BERT: Gordon et al. 2020, arXiv:2002.08307"
    equation: ClassVar[str] = """
        w' = w · [|w| > τ], τ the k-th smallest |w| of all linear maps in the blocks together, k = amount · their number
    """
    changes: ClassVar[str] = "Linear weights in the blocks; biases, embeddings, pooler and head are kept."
    cost: ClassVar[str] = "No training and no calibration."
    departures: ClassVar[str] = "Without the retraining of the papers."
    pitfalls: ClassVar[str] = """
        No speed and no size: dense kernels multiply the zeros, and the file stores them. It shows how many answers hang
        on small weights. A training after it in a chain (distill) fills the zeros again.
    """

    amount: Annotated[float, Field(ge=0, lt=1, description="share of the weights that become zero")] = 0.3

    def change(self, model: nn.Module, subject: Subject, material: Material) -> None:
        """Set the smallest weights to zero, ties at the threshold in the order of the maps."""
        maps = [m for block in anatomy(model).blocks for m in block.modules() if isinstance(m, nn.Linear)]
        sizes = torch.cat([linear.weight.detach().abs().flatten() for linear in maps])
        count = int(self.amount * len(sizes))
        keep = torch.ones(len(sizes), dtype=torch.bool)
        keep[torch.argsort(sizes, stable=True)[:count]] = False
        with torch.no_grad():
            for linear, part in zip(maps, torch.split(keep, [m.weight.numel() for m in maps]), strict=True):
                linear.weight.mul_(part.view_as(linear.weight))
