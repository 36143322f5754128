"""Trainings of ``builtin:tiny`` that are really ill, or really sound, as the diagnosis reads them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import Optimizer

from stabbench import registry
from stabbench.data.dataset import load_dataset
from stabbench.data.example import Dataset
from stabbench.diagnosis.arms import Arm, Trial
from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import ParamGroup, Stabilizer
from stabbench.suite.schema import Data, Task, TrainOptions
from stabbench.training.fine_tune import fine_tune
from stabbench.training.request import TrainRequest

MONITORS: Mapping[str, Mapping[str, Any]] = {
    "trace": {"update_every": 5},
    "outputs": {},
    "activations": {"every": 2},
    "optimizer_state": {"every": 5},
    "drift": {"every": 5},
    "gradient_cosine": {"every": 3},
    "noise_scale": {"every": 10},
}
SOUND: Mapping[str, Any] = {"learning_rate": 5e-3, "epochs": 6, "batch_size": 8, "max_length": 16, "precision": "fp32"}
WARM: Mapping[str, Mapping[str, Any]] = {"warmup": {"fraction": 0.1}}


@dataclass
class PoisonedBatch(Stabilizer):
    """Turns all labels of one step over."""

    at: int = 130

    def transform_batch(self, batch: Batch, step: int) -> Batch:
        assert batch.labels is not None
        return replace(batch, labels=1 - batch.labels) if step == self.at else batch


@dataclass
class PlainDescent(Stabilizer):
    """SGD at the group's rate."""

    def wrap_optimizer(self, optimizer: Optimizer) -> Optimizer:
        return torch.optim.SGD([dict(group) for group in optimizer.param_groups], lr=1.0)


@dataclass
class HotHead(Stabilizer):
    """A head that learns many times faster than the encoder."""

    factor: float = 200.0

    def group_params(self, groups: list[ParamGroup], anatomy: Anatomy) -> list[ParamGroup]:
        return [{**g, "lr": g["lr"] * self.factor} if g["block"] == "head" else g for g in groups]


OURS = {"poisoned_batch": PoisonedBatch, "plain_descent": PlainDescent, "hot_head": HotHead}


@dataclass(frozen=True)
class Recipe:
    """One training: options over `SOUND`, stabilizers, data and seed."""

    train: Mapping[str, Any] = field(default_factory=dict)
    stabilizers: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: WARM)
    examples: int = 192
    test: int = 60
    right_labels: float = 1.0
    dropout: bool = True
    monitors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


Train = Callable[..., tuple[Arm, Trial]]


@pytest.fixture(scope="session")
def trained(tiny_model: Path, tiny_model_without_dropout: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Train a recipe with a seed, once per session, and return the arm and its trial."""
    known: dict[str, tuple[Arm, Trial]] = {}
    load = registry.load

    def train(recipe: Recipe, seed: int = 0) -> tuple[Arm, Trial]:
        name = json.dumps([vars(recipe), seed], default=str, sort_keys=True)
        if name not in known:
            folder = tmp_path_factory.mktemp("ill")
            model = tiny_model if recipe.dropout else tiny_model_without_dropout
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(registry, "load", lambda kind, given: OURS.get(given) or load(kind, given))
                known[name] = _train(recipe, seed, model, folder)
            shutil.rmtree(folder)
        return known[name]

    return train


def _train(recipe: Recipe, seed: int, model: Path, folder: Path) -> tuple[Arm, Trial]:
    data = _data(recipe)
    options = TrainOptions(**{**SOUND, **recipe.train})
    torch.set_num_threads(1)
    request = TrainRequest(
        model_source=model, dataset=data, train=options, seeds=TrialSeeds(seed, seed), folder=folder,
        stabilizers=list(recipe.stabilizers.items()), monitors={**MONITORS, **recipe.monitors},
    )  # fmt: skip
    result = fine_tune(request)
    with np.load(folder / "trace.npz") as arrays:
        trace = dict(arrays)
    trial = Trial(
        variant="arm", seed=str(seed), failed=result.details["failed"], reason=result.details["failed_reason"],
        precision="fp32", trace=trace, numbers={m.metric: m.value for m in result.measurements if not m.at},
        labels=np.array([example.label for example in data.test]),
        predicted=result.subject.predict(data.test).argmax(axis=1),
    )  # fmt: skip
    return Arm("arm", True, options.model_dump(), dict(recipe.stabilizers), (trial,)), trial


def _data(recipe: Recipe) -> Dataset:
    data = load_dataset(Data(source="builtin:tiny", train=recipe.examples, test=recipe.test), Task(), Path(), Path)
    if recipe.right_labels == 1:
        return data
    rng = random.Random(0)
    drawn = [e if rng.random() < recipe.right_labels else replace(e, label=rng.randrange(2)) for e in data.train]
    return replace(data, train=tuple(drawn))


SOUND_RECIPES: Mapping[str, Recipe] = {
    "warm": Recipe(),
    "clipped at 1": Recipe(stabilizers={**WARM, "clip_grad_norm": {"max_norm": 1.0}}),
    "constant rate": Recipe({"learning_rate": 2e-3, "schedule": "constant", "epochs": 10}, {}),
}
ILL_RECIPES: Mapping[str, tuple[Recipe, int]] = {
    "not-finite": (Recipe({"learning_rate": 1e30, "epochs": 1}, {}), 0),
    "front-loaded": (Recipe({"optimizer": "bertadam"}, {}), 0),
    "never-learned": (Recipe({"learning_rate": 0.1}), 0),
    "collapsed": (
        Recipe({"learning_rate": 2e-2, "epochs": 10, "schedule": "constant"}, {"warmup": {"fraction": 0.5}}), 1,
    ),
    "spike": (Recipe({"epochs": 8}, {**WARM, "poisoned_batch": {}}), 0),
    "always-clipped": (Recipe(stabilizers={**WARM, "clip_grad_norm": {"max_norm": 1e-3}}), 0),
    "pooler-saturated": (Recipe({"learning_rate": 0.1}), 0),
    "attention-grows": (Recipe({"learning_rate": 0.1}), 0),
    "logits-drift": (
        Recipe(
            {"learning_rate": 3e-3, "epochs": 40}, {"warmup": {"fraction": 0.95}, "hot_head": {}}, 16, dropout=False
        ),
        1,
    ),
    "opposing-gradients": (
        Recipe(
            {"learning_rate": 1.0, "epochs": 60, "batch_size": 64, "schedule": "constant"}, {"plain_descent": {}}, 64,
            dropout=False,
        ),
        0,
    ),
    "batch-too-small": (
        Recipe(
            {"learning_rate": 2e-3, "epochs": 4, "batch_size": 4}, examples=256, test=100, right_labels=0.7,
            monitors={"noise_scale": {"every": 1}},
        ),
        1,
    ),
}  # fmt: skip
