"""Layer-wise decay of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stabbench.models.anatomy import Anatomy
from stabbench.stabilizers.base import ParamGroup, Stabilizer


@dataclass(kw_only=True)
class LayerwiseDecay(Stabilizer):
    """Gives lower blocks smaller learning rates."""

    paper = "Howard & Ruder (2018), arXiv:1801.06146; for BERT: Zhang et al. (2021), arXiv:2006.05987, §5"
    equation = "η_l = η · ξ^(L+1−l) for blocks l = 1 … L; embeddings η · ξ^(L+1); pooler and head η"
    changes = "the learning rate of every block below the pooler"
    cost = "none"
    departures = "every parameter is covered; some releases leave the pooler out of all groups and never train it"
    pitfalls = "deep models get tiny rates at the bottom: with ξ = 0.9 and 24 blocks the embeddings have 0.07 η"
    null = {"factor": 1.0}

    factor: Annotated[float, Field(gt=0, le=1, description="ξ: ratio of the rates of neighbouring blocks")] = 0.95

    def group_params(self, groups: list[ParamGroup], anatomy: Anatomy) -> list[ParamGroup]:
        """Return the groups with their rates lowered by depth."""
        depth = len(anatomy.blocks)
        exponent = {"embeddings": depth + 1, "pooler": 0, "head": 0}
        exponent |= {f"block.{index}": depth - index for index in range(depth)}
        return [{**group, "lr": group["lr"] * self.factor ** exponent[group["block"]]} for group in groups]
