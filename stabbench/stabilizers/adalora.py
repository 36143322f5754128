"""Low-rank adapters whose rank budget moves to the matrices that need it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._adapters import Targets, insert, merge, peft_package, target_paths, trained_parts
from stabbench.stabilizers._shares import steps_of
from stabbench.stabilizers.base import Forward, Loss, Objective, Stabilizer


@dataclass(kw_only=True)
class Adalora(Stabilizer):
    """Trains low-rank changes in the form of a singular value decomposition, and prunes the least important values."""

    paper = "Zhang et al. (2023), arXiv:2303.10512 (AdaLoRA), Algorithm 1; through the peft package"
    equation = (
        "h = Wx + (α/r₀) P Λ Q x with Λ diagonal and 0 at first; L + γ Σ (‖PᵀP − I‖² + ‖QQᵀ − I‖²), Frobenius norms "
        "over all adapters; of all values in Λ the b(t) with the largest smoothed importance |w ∂L/∂w| stay, others "
        "are set to 0; b(t) falls cubically from r₀ to r per matrix between the shares `hold` and 1 − `settle` of the "
        "steps; at the end W ← W + (α/r₀) P Λ Q"
    )
    changes = "which parameters are trained, and the objective; before the first step the model computes the same"
    cost = "1 forward and 1 backward pass; the importances of all adapters and one wait for the device per step"
    departures = (
        "phases are shares of the run, not numbers of steps; importance takes the weight after the step with the "
        "gradient before it, as peft does; ranks that are pruned are 0 and not removed, so that nothing gets faster"
    )
    pitfalls = (
        "the regulariser is part of the objective and of its gradient norms: clipping and AGC see it, and at first it "
        "is most of the loss. Needs a learning rate several times that of full fine-tuning, so arms at one rate do not "
        "compare. The budget needs more steps than a small task has: with few steps ranks are chosen by noise"
    )
    null = {"initial_rank": 0}
    owns = frozenset({"the choice of trained weights", "the pretrained weights"})
    reshapes = True
    package = "peft"

    initial_rank: Annotated[
        int, Field(ge=0, description="r₀: rank of every change at first, above `rank`; 0: no adapters")
    ] = 12
    rank: Annotated[int, Field(ge=1, description="r: mean rank of a change at the end")] = 8
    alpha: Annotated[float, Field(gt=0, description="α: the change is scaled by α/r₀")] = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1, description="dropout on the adapters' input")] = 0.0
    hold: Annotated[float, Field(ge=0, lt=0.5, description="share of the steps before the budget begins to fall")] = 0.1
    settle: Annotated[
        float, Field(ge=0, lt=0.5, description="share of the steps at the end, in which the chosen values stay")
    ] = 0.3
    beta: Annotated[float, Field(gt=0, lt=1, description="β₁ = β₂: smoothing of importance and its spread")] = 0.85
    orthogonality: Annotated[float, Field(ge=0, description="γ: weight of the regulariser of P and Q")] = 0.1
    targets: Annotated[
        Targets, Field(description="all: every linear layer of a block, as in the paper; attention: queries and values")
    ] = "all"
    train_pooler: Annotated[bool, Field(description="train the pooler too, as a head that holds its own is")] = False
    legacy_bug: Annotated[
        bool,
        Field(
            description="the regulariser of the released code and of peft: γ times the mean over all P and Q of the "
            "norms, not squared, instead of the paper's sum of squares"
        ),
    ] = False

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Insert the adapters and freeze the rest but the head.

        Raises:
            ConfigurationError: peft is not installed or does not know the model's layers, or the ranks do not fall.
        """
        self._right: list[nn.Parameter] = []
        self._left: list[nn.Parameter] = []
        self._steps = steps
        if self.initial_rank == 0:
            return
        if self.rank >= self.initial_rank:
            raise ConfigurationError(
                [
                    f"stabilizers.adalora: rank {self.rank} must be below initial_rank {self.initial_rank}, from which "
                    "it falls; with equal ranks use lora"
                ]
            )
        peft = peft_package("adalora")
        config = peft.AdaLoraConfig(
            init_r=self.initial_rank,
            target_r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            tinit=min(steps_of(self.hold, steps), (steps - 1) // 2),
            tfinal=min(steps_of(self.settle, steps), (steps - 1) // 2),
            beta1=self.beta,
            beta2=self.beta,
            total_step=steps,
            target_modules=target_paths(model, anatomy, self.targets, "adalora"),
        )
        self._tuner = insert(model, peft.AdaLoraModel, config, trained_parts(anatomy, self.train_pooler), seeds)
        self._right = [parameter for name, parameter in model.named_parameters() if ".lora_A." in name]
        self._left = [parameter for name, parameter in model.named_parameters() if ".lora_B." in name]

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective with the regulariser."""
        if self.initial_rank == 0:
            return loss

        def regular(forward: Forward, batch: Batch) -> Objective:
            plain = loss(forward, batch)
            with torch.autocast(plain.total.device.type, enabled=False):
                penalty = orthogonality_penalty([*self._right, *(p.T for p in self._left)], self.legacy_bug)
            return Objective(plain.total + self.orthogonality * penalty, plain.cross_entropy, plain.logits)

        return regular

    def on_step(self, model: nn.Module, step: int) -> None:
        """Take the gradients into the importances, and prune to the budget of the step."""
        if self.initial_rank > 0 and self._steps > 1:  # one step has no importances to prune by
            self._tuner.update_and_allocate(step + 1)

    def finish_model(self, model: nn.Module) -> None:
        """Merge the adapters: W ← W + (α/r₀) P Λ Q."""
        if self.initial_rank > 0:
            merge(model, self._tuner)


def orthogonality_penalty(sides: list[Tensor], unsquared_mean: bool = False) -> Tensor:
    """Return Σ ‖MMᵀ − I‖²_F over the matrices M (rank, width), or the mean of ‖MMᵀ − I‖_F; a scalar."""
    distances = [side @ side.T - torch.eye(len(side), device=side.device) for side in sides]
    if unsquared_mean:
        return torch.stack([torch.linalg.vector_norm(distance) for distance in distances]).mean()
    return torch.stack([distance.square().sum() for distance in distances]).sum()
