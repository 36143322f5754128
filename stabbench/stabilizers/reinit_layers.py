"""The top of the pretrained encoder drawn anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds, derive
from stabbench.stabilizers.base import Stabilizer

USUAL_RANGE = 0.02
"""Standard deviation of BERT's initialisation, for a model whose config does not name its own."""


@dataclass(kw_only=True)
class ReinitLayers(Stabilizer):
    """Draws the pooler and the top k blocks anew before training, as the pretraining once did."""

    paper = "Zhang, Wu, Katiyar, Weinberger & Artzi (2021), arXiv:2006.05987 (Re-init)"
    equation = (
        "matrices of the pooler and of blocks L−k+1 … L: W ~ N(0, σ²), σ the model's initializer_range; biases 0; "
        "normalisation layers: scale 1, shift 0"
    )
    changes = "the weights of the pooler and the top k blocks before the first step"
    cost = "none per step"
    departures = (
        "every matrix has its own random stream, by its name: arms with different k share the draws of the blocks that "
        "both re-draw, and head, order and dropout are those of the other arms. A model without a pooler has the "
        "equivalent layer in its head, which every arm draws anew"
    )
    pitfalls = (
        "the best k depends on task and model (1 to 6 of 24 were tried; the released script says 5); too large a k "
        "throws away what was learned. Re-drawn blocks need more steps or a larger rate to become useful"
    )
    null = {"pooler": False, "blocks": 0}
    weights = True
    owns = frozenset({"the pretrained weights"})

    pooler: Annotated[bool, Field(description="draw the pooler anew, where the model has one")] = True
    blocks: Annotated[int, Field(ge=0, description="k: how many blocks are drawn anew, from the top")] = 1

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Draw the weights in place.

        Raises:
            ConfigurationError: the model has fewer than k blocks.
        """
        depth = len(anatomy.blocks)
        if self.blocks > depth:
            raise ConfigurationError(
                [
                    f"stabilizers.reinit_layers.blocks: {self.blocks}, but the model has {depth} blocks; "
                    f"choose 0 to {depth}"
                ]
            )
        parts = list(anatomy.blocks[depth - self.blocks :])
        if self.pooler and anatomy.pooler is not None:
            parts.append(anatomy.pooler)
        deviation = float(getattr(getattr(model, "config", None), "initializer_range", USUAL_RANGE))
        paths = {module: path for path, module in model.named_modules()}
        for module in (module for part in parts for module in part.modules()):
            if module in paths:  # a list made to hold several parts is not in the model
                _draw(module, deviation, derive(seeds.stream("extra"), "reinit_layers", paths[module]))


@torch.no_grad()
def _draw(module: nn.Module, deviation: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)  # on the processor, so that every device has the same draws
    for name, parameter in module.named_parameters(recurse=False):
        if parameter.dim() > 1:
            parameter.copy_(torch.empty(parameter.shape).normal_(0.0, deviation, generator=generator))
        else:
            parameter.fill_(1.0 if _is_norm(module) and name == "weight" else 0.0)


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.RMSNorm) or type(module).__name__.endswith("RMSNorm")
