"""Adapters of the ``peft`` package inside the blocks of a model that otherwise stays the one it was."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds, derive

NAME = "default"
Targets = Literal["attention", "all"]


def peft_package(stabilizer: str) -> Any:
    """Return the ``peft`` package.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import peft
    except ImportError as error:
        raise ConfigurationError(
            [f"stabilizers: '{stabilizer}' needs the package 'peft': pip install stabbench[peft]"]
        ) from error
    return peft


def target_paths(model: nn.Module, anatomy: Anatomy, targets: Targets, stabilizer: str) -> list[str]:
    """Return the paths of the linear layers inside the blocks that get an adapter.

    ``attention`` means those that peft itself chooses for the kind of model, the projections to queries and values.

    Raises:
        ConfigurationError: peft knows no such choice for this kind of model.
    """
    inside = {module for block in anatomy.blocks for module in block.modules() if isinstance(module, nn.Linear)}
    paths = [path for path, module in model.named_modules() if module in inside]
    if targets == "all":
        return paths
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as CHOICES

    kind = str(getattr(getattr(model, "config", None), "model_type", ""))
    chosen = [path for path in paths if path.rpartition(".")[2] in CHOICES.get(kind, ())]
    if not chosen:
        raise ConfigurationError(
            [
                f"stabilizers.{stabilizer}.targets: which layers are queries and values is not known for models of "
                f"type '{kind}'; choose targets: all"
            ]
        )
    return chosen


def insert(model: nn.Module, tuner: type[Any], config: Any, trained: list[nn.Module], seeds: TrialSeeds) -> Any:
    """Put adapters into the model in place and return peft's tuner, through which they are merged.

    Everything but the adapters and the modules `trained` is frozen. Adapters are drawn from the `extra` stream; the
    global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seeds.stream("extra"), "adapters"))
        made = tuner(model, config, NAME)
    for module in trained:
        module.requires_grad_(True)
    return made


def merge(model: nn.Module, tuner: Any) -> None:
    """Add the adapters to the weights under them, and leave the plain model, of which everything can be trained."""
    tuner.merge_and_unload()
    if hasattr(model, "peft_config"):  # of peft before 0.17
        del model.peft_config
    model.requires_grad_(True)


def trained_parts(anatomy: Anatomy, train_pooler: bool) -> list[nn.Module]:
    """Return what is trained beside the adapters: the head, and the pooler where asked for and there is one."""
    return [anatomy.head] + ([anatomy.pooler] if train_pooler and anatomy.pooler is not None else [])
