"""Parameter groups, the optimizers, and the learning-rate schedules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from stabbench.models.anatomy import Anatomy
from stabbench.stabilizers.base import ParamGroup, Schedule
from stabbench.suite.schema import TrainOptions

BETAS = (0.9, 0.999)
EPS = 1e-6


class BertAdam(AdamW):
    """Adam as in the first BERT release: no bias correction, and ε outside the root.

    m ← β₁m + (1−β₁)g;  v ← β₂v + (1−β₂)g²;  θ ← θ − η(m/(√v + ε) + λθ).

    Without the correction, early steps are up to 6.6 times larger than Adam's (β₂ = .999). Source: Devlin et al. 2019,
    ``optimization.py``; named as a cause of failed runs by Mosbach et al. 2021 and Zhang et al. 2021. The release also
    clipped and warmed up; here those are stabilizers.
    """

    #: A step count at which β₁ᵗ = β₂ᵗ = 0 in double precision, so that AdamW's kernel corrects by exactly 1.
    SETTLED = 2.0**20

    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, **options)
        for parameter in (p for group in self.param_groups for p in group["params"]):
            self.state[parameter] = {
                "step": torch.tensor(self.SETTLED, dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }


def build_optimizer(options: TrainOptions, groups: list[ParamGroup]) -> Optimizer:
    """Return the optimizer of `options` over `groups`; its one-kernel form, which every device of torch has."""
    kinds: dict[str, type[AdamW]] = {"adamw": AdamW, "bertadam": BertAdam}
    for group in groups:
        group["initial_lr"] = group["lr"]
    return kinds[options.optimizer](groups, lr=options.learning_rate, betas=BETAS, eps=EPS, fused=True)


def parameter_groups(model: nn.Module, parts: Anatomy, options: TrainOptions) -> list[ParamGroup]:
    """Return one group per block and kind of decay, from the bottom up; all trainable parameters, each once.

    Biases and the parameters of normalisation layers, told by module type, are not decayed.
    """
    plain = _not_decayed(model)
    groups: dict[tuple[str, bool], ParamGroup] = {}
    for name in parts.block_names:
        for decayed in (True, False):
            decay = options.weight_decay if decayed else 0.0
            groups[name, decayed] = {"params": [], "lr": options.learning_rate, "weight_decay": decay, "block": name}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups[parts.block_of[name], name not in plain]["params"].append(parameter)
    return [group for group in groups.values() if group["params"]]


def check_groups(groups: Iterable[ParamGroup], model: nn.Module) -> None:
    """Assert that the groups hold every trainable parameter exactly once; a stabilizer that drops one is broken."""
    held = sorted(id(parameter) for group in groups for parameter in group["params"])
    wanted = sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    assert held == wanted, "a stabilizer's group_params lost or doubled parameters"


def base_schedule(options: TrainOptions, steps: int) -> Schedule:
    """Return the schedule before stabilizers: constant 1, or linear (T − t)/T at step t of T, from 1 to 1/T."""
    if options.schedule == "constant":
        return lambda step: 1.0
    return lambda step: (steps - step) / steps


def set_learning_rates(optimizer: Optimizer, factor: float) -> float:
    """Set every group's rate to its peak times `factor`; return the highest, that of the head."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    return max(float(group["lr"]) for group in optimizer.param_groups)


def _not_decayed(model: nn.Module) -> set[str]:
    """Return the names of biases and of all parameters of normalisation layers."""
    names = set()
    for path, module in model.named_modules():
        norm = isinstance(module, nn.LayerNorm | nn.GroupNorm | nn.RMSNorm) or type(module).__name__.endswith("RMSNorm")
        for name, _ in module.named_parameters(recurse=False):
            if norm or name == "bias":
                names.add(f"{path}.{name}" if path else name)
    return names
