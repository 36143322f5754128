"""Low-rank adapters instead of trained encoder weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from torch import nn

from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._adapters import Targets, insert, merge, peft_package, target_paths, trained_parts
from stabbench.stabilizers.base import Stabilizer


@dataclass(kw_only=True)
class Lora(Stabilizer):
    """Trains a low-rank change of chosen matrices, and the head; the pretrained weights stay."""

    paper = "Hu et al. (2022), arXiv:2106.09685 (LoRA), equation (3); through the peft package"
    equation = (
        "h = Wx + (α/r) B A x, with A (r, in) drawn and B (out, r) = 0 at first; only A, B and the head are trained; "
        "at the end W ← W + (α/r) B A"
    )
    changes = "which parameters are trained; the model computes the same as without it before the first step"
    cost = "1 forward and 1 backward pass, without the gradients of the frozen weights; small moments in the optimizer"
    departures = (
        "A is drawn uniformly (Kaiming, as the authors' code and peft do), where the paper says Gaussian; adapters are "
        "merged before any probe sees the model, so latency and size are those of a plain one"
    )
    pitfalls = (
        "needs a learning rate several times that of full fine-tuning, so arms at one rate do not compare: tune both "
        "with one budget. The pooler stays frozen unless train_pooler says so. Norms, traces and the gradient probe "
        "see the adapters' parameters, not the matrices under them. The paper's RTE, MRPC and STS-B results are said "
        "to start from an MNLI checkpoint"
    )
    null = {"r": 0}
    owns = frozenset({"the choice of trained weights", "the pretrained weights"})
    reshapes = True
    package = "peft"

    r: Annotated[int, Field(ge=0, description="rank of each change; 0: no adapters, full fine-tuning")] = 8
    alpha: Annotated[float, Field(gt=0, description="α: the change is scaled by α/r")] = 8.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the adapters' input")] = 0.0
    targets: Annotated[
        Targets, Field(description="attention: queries and values, as in the paper; all: every linear layer of a block")
    ] = "attention"
    train_pooler: Annotated[bool, Field(description="train the pooler too, as a head that holds its own is")] = False

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Insert the adapters and freeze the rest but the head.

        Raises:
            ConfigurationError: peft is not installed, or does not know the model's layers.
        """
        if self.r == 0:
            return
        peft = peft_package("lora")
        config = peft.LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=target_paths(model, anatomy, self.targets, "lora"),
        )
        self._tuner = insert(model, peft.LoraModel, config, trained_parts(anatomy, self.train_pooler), seeds)

    def finish_model(self, model: nn.Module) -> None:
        """Merge the adapters: W ← W + (α/r) B A."""
        if self.r > 0:
            merge(model, self._tuner)
