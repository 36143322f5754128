"""``drop-layers``: fewer blocks, spread over the depth, then a recovery training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field
from torch import nn

from stabbench.compression._rebuild import Rebuild
from stabbench.compression._recovery import Teaching, teach
from stabbench.compression.base import Level, Material
from stabbench.models.anatomy import anatomy
from stabbench.models.subject import Subject

Which = Literal["spread", "bottom", "top"]


@dataclass(frozen=True)
class DropLayers(Rebuild):
    """A share of the encoder's blocks kept, the others taken out, then a short recovery training.

    The artifact is an ordinary model of fewer layers, which any library loads.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Level] = "encoder"
    trains: ClassVar[bool] = True
    paper: ClassVar[str] = "Sajjad et al. 2023, On the effect of dropping layers, arXiv:2004.03844"
    equation: ClassVar[str] = """
        of L blocks k = round(keep · L) stay, at least one: spread keeps blocks round(j (L − 1) / (k − 1)),
        j = 0 … k − 1, bottom the first k, top the last k
    """
    changes: ClassVar[str] = "Depth; embeddings, pooler, head and the kept blocks stay as they are until recovery."
    cost: ClassVar[str] = "`recover_epochs` of training with a teacher."
    departures: ClassVar[str] = """
        The papers drop layers before fine-tuning; here a fine-tuned model loses them and is trained on right labels and
        on its own soft labels.
    """
    pitfalls: ClassVar[str] = """
        With recover_epochs: 0 most answers may flip, more so with `bottom`, which takes away what the head reads.
    """

    keep: Annotated[float, Field(gt=0, le=1, description="share of the blocks that is kept")] = 0.5
    which: Annotated[Which, Field(description="where the kept blocks lie")] = "spread"
    recover_epochs: Annotated[int, Field(ge=0, description="epochs of training afterwards; 0: none")] = 1
    recover_learning_rate: Annotated[float, Field(gt=0, description="peak rate of that training")] = 5e-5

    def change(self, model: nn.Module, subject: Subject, material: Material) -> None:
        """Take the blocks out and train."""
        kept = chosen(len(anatomy(model).blocks), self.keep, self.which)
        keep_blocks(model, kept)
        teach(model, subject, kept, material, Teaching(self.recover_epochs, self.recover_learning_rate))


def chosen(depth: int, keep: float, which: Which) -> list[int]:
    """Return the indices of the blocks that stay, ascending."""
    count = max(1, round(keep * depth))
    if which == "bottom":
        return list(range(count))
    if which == "top":
        return list(range(depth - count, depth))
    return [int(index) for index in np.round(np.linspace(0, depth - 1, count))]


def keep_blocks(model: Any, kept: Sequence[int]) -> None:
    """Keep the named blocks in place, and say so in the config."""
    blocks = anatomy(model).blocks
    (name,) = (
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and tuple(module) == tuple(blocks)
    )
    model.set_submodule(name, nn.ModuleList(blocks[index] for index in kept))
    model.config.num_hidden_layers = len(kept)
