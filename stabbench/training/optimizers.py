"""Parameter groups, and the optimizers over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from stabbench.models.anatomy import Anatomy
from stabbench.stabilizers.base import ParamGroup
from stabbench.suite.schema import TrainOptions
from stabbench.training.adafactor import Adafactor
from stabbench.training.lion import Lion
from stabbench.training.schedule_free import ScheduleFreeAdamW
from stabbench.training.sgd import Sgd
from stabbench.training.stable_adamw import StableAdamW

BETA1 = 0.9
BETA2 = 0.999
LION_BETA2 = 0.99
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
    """Return the optimizer of `options` over `groups`; β₁ (of sgd: the momentum) is 0.9, ε 10⁻⁶.

    AdamW and `BertAdam` take their one-kernel form, which every device of torch has; the others work on lists of
    tensors.
    """
    for group in groups:
        group["initial_lr"] = group["lr"]
    rate = options.learning_rate
    betas = (BETA1, options.beta2 or (LION_BETA2 if options.optimizer == "lion" else BETA2))
    match options.optimizer:
        case "adamw":
            return AdamW(groups, lr=rate, betas=betas, eps=EPS, fused=True)
        case "bertadam":
            return BertAdam(groups, lr=rate, betas=betas, eps=EPS, fused=True)
        case "stable_adamw":
            return StableAdamW(groups, rate, betas, EPS)
        case "schedule_free":
            return ScheduleFreeAdamW(groups, rate, betas, EPS)
        case "lion":
            return Lion(groups, rate, betas)
        case "adafactor":
            return Adafactor(groups, rate)
        case "sgd":
            return Sgd(groups, rate, BETA1)


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
