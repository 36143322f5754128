"""A recorder beside the monitor under test: it copies everything to NumPy, so that formulas can be written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.data.example import Example
from stabbench.models.anatomy import Anatomy, anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import encode_texts
from stabbench.models.loading import load_pretrained
from stabbench.monitors.base import Monitor, RawGradients, Step
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import Stabilizer
from stabbench.suite.schema import TrainOptions
from stabbench.training.gradient_probe import GradientProbe
from stabbench.training.loop import Loop

WORDS = ("good", "bad", "great", "dull")
EXAMPLES = tuple(Example(f"t:{i}", f"the film was {WORDS[i % 4]}", int(i % 4 in (0, 2))) for i in range(16))


@dataclass
class Recorder(Monitor):
    """Weights before and after, gradients, logits, labels, second moments: per step, per parameter."""

    blocks: list[int] = field(default_factory=list)
    names: tuple[str, ...] = ()
    weights: list[list[np.ndarray]] = field(default_factory=list)
    raw: list[list[np.ndarray]] = field(default_factory=list)
    applied: list[list[np.ndarray]] = field(default_factory=list)
    second: list[list[np.ndarray]] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    batches: list[Sequence[Batch]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    model: Any = None

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        self.model, self.names = model, anatomy.block_names
        self.blocks = [anatomy.block_names.index(anatomy.block_of[name]) for name, _ in model.named_parameters()]
        self.weights.append(self._weights())

    def on_raw_gradients(self, gradients: RawGradients) -> None:
        self.raw.append(self._gradients())

    def observe(self, step: Step) -> None:
        self.weights.append(self._weights())
        self.applied.append(self._gradients())
        states = [step.optimizer.state[p] for p in self.model.parameters()]
        self.second.append([s["exp_avg_sq"].double().numpy().copy() for s in states if "exp_avg_sq" in s])
        self.logits.append(step.logits.double().numpy())
        self.labels.append(np.concatenate([b.labels.numpy() for b in step.batches if b.labels is not None]))
        self.batches.append(step.batches)
        self.losses.append(float(step.cross_entropy))

    def by_block(self, values: Sequence[float]) -> np.ndarray:
        """Sum one value per parameter over each block."""
        return np.array([sum(v for v, b in zip(values, self.blocks, strict=True) if b == k) for k in range(5)])

    def _weights(self) -> list[np.ndarray]:
        return [p.detach().double().numpy().copy() for p in self.model.parameters()]

    def _gradients(self) -> list[np.ndarray]:
        zeros = (np.zeros(p.shape) if p.grad is None else p.grad.double().numpy() for p in self.model.parameters())
        return [z.copy() for z in zeros]


Watched = Callable[..., Recorder]


@pytest.fixture
def watched(tiny_model_without_dropout: Path) -> Watched:
    """Train the tiny model without dropout under some monitors; keywords are training options."""

    def train(
        monitors: Sequence[Monitor],
        stabilizers: Sequence[Stabilizer] = (),
        source: Path = tiny_model_without_dropout,
        **given: Any,
    ) -> Recorder:
        model, tokenizer = load_pretrained(source, ("no", "yes"), TrialSeeds(0, 0))
        options = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-2, "max_length": 16, "precision": "fp32"} | given
        recorder = Recorder()
        loop = Loop(
            model=model.train(),
            anatomy=anatomy(model),
            tokenizer=tokenizer,
            examples=EXAMPLES,
            encoded=encode_texts(tokenizer, [example.text for example in EXAMPLES], 16),
            train=TrainOptions(**options),
            stabilizers=stabilizers,
            monitors=[*monitors, recorder],
            seeds=TrialSeeds(0, 0),
            probe=GradientProbe(EXAMPLES, tokenizer, 16),
        )
        torch.set_num_threads(1)
        loop.run()
        return recorder

    return train


def value(monitor: Monitor, metric: str, **at: Any) -> float | None:
    """Return the one measurement of a metric at these coordinates."""
    (found,) = [m.value for m in monitor.measurements() if m.metric == metric and dict(m.at) == at]
    return found
