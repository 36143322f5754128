"""Weight decay towards the pretrained weights instead of towards zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from stabbench.models.anatomy import Anatomy
from stabbench.stabilizers.base import ParamGroup, Stabilizer


@dataclass(kw_only=True)
class L2Sp(Stabilizer):
    """Pulls every weight but the head's towards its pretrained value after each step."""

    paper = (
        "Li, Grandvalet & Davoine (2018), arXiv:1802.01483 (L2-SP); decoupled from the gradient, as pre-trained weight "
        "decay, in Zhang et al. (2021), arXiv:2006.05987"
    )
    equation = (
        "after the optimizer's step θ ← θ − η_t λ (θ − θ⁰), with η_t the rate of the parameter's own group; the decay "
        "towards 0 is off for these weights, and stays as it is for the head"
    )
    changes = "all weights but the head's, after each step, and their weight decay"
    cost = "one read and write of the weights and one read of a copy of them per step; one copy in memory; no pass"
    departures = (
        "λ acts on the weights, not through Adam's moments as a term of the loss would. Biases and normalisation "
        "layers are pulled too, because the paper's penalty is over all pretrained weights; the released script of "
        "Zhang et al. pulls only what its weight decay acts on, and pulls before the step"
    )
    pitfalls = (
        "the pull is weak at fine-tuning rates: over a run of T steps it undoes a share of about ληT/2 of the "
        "movement, 5e-5 at λ = 0.01, η = 2e-5, T = 500. Above ηλ = 1 it overshoots, above 2 it diverges. Published "
        "effects are mixed: in Du & Nguyen (2023) it made BERT-large on RTE worse"
    )
    null = {"strength": 0.0}
    owns = frozenset({"the pretrained weights"})

    strength: Annotated[float, Field(ge=0, description="λ: pull per unit of learning rate; 0: none")] = 0.01
    legacy_bug: Annotated[
        bool,
        Field(
            description="pull the head to its random start too, as the released script of Zhang et al. does: its test "
            "for the last group compares an index with the number of groups, and is never true"
        ),
    ] = False

    def group_params(self, groups: list[ParamGroup], anatomy: Anatomy) -> list[ParamGroup]:
        """Return the groups without decay towards 0 where the pull acts."""
        self._pulled: set[int] = set()
        given = []
        for group in groups:
            if self.strength > 0 and (self.legacy_bug or group["block"] != "head"):
                self._pulled |= {id(parameter) for parameter in group["params"]}
                group = {**group, "weight_decay": 0.0}
            given.append(group)
        return given

    def on_start(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Remember the weights that training starts from, and which group's rate each of them has."""
        chosen = [(group, [p for p in group["params"] if id(p) in self._pulled]) for group in optimizer.param_groups]
        self._groups: list[tuple[dict[str, Any], list[nn.Parameter], list[Tensor]]] = [
            (group, parameters, [p.detach().clone() for p in parameters]) for group, parameters in chosen if parameters
        ]

    @torch.no_grad()
    def on_step(self, model: nn.Module, step: int) -> None:
        """Pull in place: θ + w(θ⁰ − θ) with w = η_t λ."""
        for group, parameters, start in self._groups:
            torch._foreach_lerp_(list(parameters), start, float(group["lr"]) * self.strength)
