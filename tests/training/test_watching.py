"""What the loop shows to monitors: raw gradients before anyone acts on them, gradients that leave no mark, ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from recorder import Watched, watched
from torch import Tensor, nn

from stabbench.monitors.base import Monitor, RawGradients, Step
from stabbench.stabilizers.base import Gradients, Stabilizer

__all__ = ["watched"]


class Log:
    def __init__(self) -> None:
        self.entries: list[str] = []


class Watches(Monitor):
    def __init__(self, log: Log) -> None:
        self.log = log

    def on_raw_gradients(self, gradients: RawGradients) -> None:
        self.log.entries.append("raw")

    def observe(self, step: Step) -> None:
        self.log.entries.append("observe")

    def end(self) -> None:
        self.log.entries.append("end")


class Acts(Stabilizer):
    def __init__(self, log: Log) -> None:
        self.log = log

    def on_gradients(self, gradients: Gradients) -> None:
        self.log.entries.append("on_gradients")

    def on_step(self, model: nn.Module, step: int) -> None:
        self.log.entries.append("on_step")

    def finish_model(self, model: nn.Module) -> None:
        self.log.entries.append("finish_model")


def test_monitors_see_a_step_before_and_after_stabilizers_and_the_end_before_the_model_is_finished(
    watched: Watched,
) -> None:
    log = Log()
    watched([Watches(log)], [Acts(log)], epochs=1, batch_size=8)

    step = ["raw", "on_gradients", "on_step", "observe"]
    assert log.entries == [*step, *step, "end", "finish_model"]


class Extra(Monitor):
    """Takes the gradient of the step's own batch, and notes what the loop's state was before and after."""

    def __init__(self) -> None:
        self.found: list[Tensor] = []
        self.untouched: list[bool] = []

    def on_raw_gradients(self, gradients: RawGradients) -> None:
        def state() -> list[Tensor]:
            grads = [p.grad.clone() for p in gradients.parameters if p.grad is not None]
            return [torch.get_rng_state(), *grads]

        before = state()
        found = gradients.gradient(gradients.batches[0], 0)
        self.found.append(torch.cat([part.flatten() for part in found]))
        self.untouched.append(all(torch.equal(a, b) for a, b in zip(before, state(), strict=True)))


def test_an_extra_gradient_of_the_steps_batch_is_the_steps_and_leaves_no_mark(watched: Watched) -> None:
    """Without dropout the plain gradient of the same batch at the same weights is the raw gradient."""
    extra = Extra()
    seen = watched([extra])

    for found, raw in zip(extra.found, seen.raw, strict=True):
        np.testing.assert_allclose(found.numpy(), np.concatenate([g.ravel() for g in raw]), atol=1e-5)
    assert all(extra.untouched)


def test_extra_gradients_under_dropout_leave_the_random_state_alone(watched: Watched, tiny_model: Path) -> None:
    extra = Extra()
    watched([extra], source=tiny_model)

    assert all(extra.untouched)


def test_a_step_is_shown_with_its_logits_labels_and_optimizer(watched: Watched) -> None:
    seen = watched([], epochs=1)

    for logits, labels, loss in zip(seen.logits, seen.labels, seen.losses, strict=True):
        shifted = logits - logits.max(axis=1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(-logs[np.arange(len(labels)), labels].mean(), loss, rtol=1e-5)
