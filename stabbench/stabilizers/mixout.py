"""Mixout: a random part of the weights is the pretrained one in each pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._draws import generator
from stabbench.stabilizers.base import Place, Stabilizer


@dataclass(kw_only=True)
class Mixout(Stabilizer):
    """Runs each training pass with a share of the encoder's weights replaced by their pretrained values."""

    paper = "Lee, Cho & Kang (2020), arXiv:1909.11299, §3 (mixout)"
    equation = (
        "W̃ = ((1−M) u + M w − p u)/(1−p) = u + M (w − u)/(1−p), u the pretrained weight, M ~ Bernoulli(1−p): one draw "
        "for each input neuron (mixout) or each weight (mixconnect); E[W̃] = w, ∂L/∂w = M/(1−p) · ∂L/∂W̃"
    )
    changes = "the weights of the blocks' linear layers in training passes; biases and all other layers stay w"
    cost = (
        "1 forward and 1 backward pass per step, and a few reads and writes of these weights per pass; drawing one "
        "number for each weight (mask: weight) costs far more on a processor; one copy of these weights"
    )
    departures = (
        "all linear layers of the blocks are mixed, also those with no dropout behind them, which the paper left out; "
        "its authors saw the same effect with all. Dropout stays as the model has it: the paper replaces it (and also "
        "reports both together). Pooler, embeddings, normalisation and head are never mixed"
    )
    pitfalls = (
        "published comparisons that found mixout weak used p = 0.1; the paper's range is 0.7 to 0.9. At p = 0.9 ten "
        "times the movement is put into a tenth of the weights: gradient norms grow with 1/(1−p), which clipping "
        "sees. The released example also mixes the new head, and so pulls it to its random start"
    )
    null = {"probability": 0.0}
    streams = frozenset({"extra"})
    owns = frozenset({"the pretrained weights"})

    probability: Annotated[float, Field(ge=0, lt=1, description="p: share replaced by the pretrained; 0: none")] = 0.8
    mask: Annotated[
        Literal["neuron", "weight"],
        Field(description="replace all weights of an input neuron together (mixout), or each alone (mixconnect)"),
    ] = "neuron"
    legacy_bug: Annotated[
        bool,
        Field(description="leave out 1/(1−p) of the gradient, as the released code does: too small by 1−p"),
    ] = False

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Keep the pretrained weights, and run the blocks' linear layers through them."""
        self._seed = seeds.stream("extra")
        self._place = Place(0, 0, 0, 0)
        self._mixed: list[nn.Linear] = []
        if self.probability == 0:
            return
        for index, block in enumerate(anatomy.blocks):
            for path, module in block.named_modules():
                if isinstance(module, nn.Linear):
                    # An attribute of the instance hides the class's `forward`: names of parameters stay as they are.
                    module.forward = self._forward(module, f"block.{index}.{path}")  # type: ignore[assignment,method-assign]
                    self._mixed.append(module)

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Remember the place, by which the masks are drawn."""
        self._place = place

    def finish_model(self, model: nn.Module) -> None:
        """Give the layers their own forward back; w stays."""
        for module in self._mixed:
            del module.forward

    def _forward(self, module: nn.Linear, path: str) -> Callable[[Tensor], Tensor]:
        target = module.weight.detach().clone()

        def forward(inputs: Tensor) -> Tensor:
            if not module.training:
                return functional.linear(inputs, module.weight, module.bias)
            return functional.linear(inputs, self._mix(module.weight, target, path), module.bias)

        return forward

    def _mix(self, weight: Tensor, target: Tensor, path: str) -> Tensor:
        shape = (1, weight.shape[1]) if self.mask == "neuron" else tuple(weight.shape)
        draws = generator(weight.device, self._seed, "mixout", *self._place, path)
        kept = torch.rand(shape, generator=draws, device=weight.device) >= self.probability
        mixed = mix(weight, target, kept.to(weight.dtype), self.probability)
        if self.legacy_bug and mixed.requires_grad:
            mixed.register_hook(lambda gradient: gradient * (1 - self.probability))  # type: ignore[no-untyped-call]
        return mixed


def mix(weight: Tensor, target: Tensor, kept: Tensor, probability: float) -> Tensor:
    """Return u + M (w − u)/(1−p) for w, u (out, in) and M (out, in) or (1, in) of zeros and ones."""
    return target + kept * (weight - target) / (1 - probability)
