"""The one training loop. Every arm takes this path; a stabilizer acts only through its hooks::

    plan(train)
    model ← pretrained encoder + new head                        hash: weights before `prepare_model`
    prepare_data(examples);  prepare_model(model)
    groups ← group_params(one group per block and kind of decay)
    schedule ← wrap_schedule(base schedule);  optimizer ← wrap_optimizer(optimizer over groups)
    on_start(model, optimizer)
    for each epoch:                                              hash: example ids in order, before augmentation
        for each batch:
            batch ← transform_batch(batch)
            backward ← wrap_backward(closure over all micro-batches: wrap_loss(loss)(forward, batch).backward())
            backward(draw)                                       every forward: on_forward; dropout masks by `draw`
            raw norms ← ‖g‖ per parameter;  monitors see the raw gradients
            on_gradients(gradients)                              clip, mask
            applied norms ← ‖g‖ per parameter
            optimizer step at learning rate × schedule(step)
            on_step(model)                                       averages
            monitors observe (losses, logits, raw norms, applied norms, model, optimizer)
        gradient probe;  validation;  stop ← on_evaluate or early stopping
    monitors see the end;  best checkpoint, where it was asked for
    finish_model(model)                                          final weights in place, wrappers stripped

Epochs go on until the last step; a batch may be cut into micro-batches, whose gradients add up to the batch's.

Nothing in a step waits for the device: losses and norms stay there as tensors and are read at the end of the epoch.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.optim import Optimizer

from stabbench.data.example import Example
from stabbench.models.anatomy import Anatomy, anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import Encoded, TextEncoder, collate
from stabbench.monitors.base import Monitor, Step
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import Backward, Gradients, Loss, Objective, Place, Schedule, Stabilizer
from stabbench.suite.schema import TrainOptions
from stabbench.training.dropout import MatchedDropout
from stabbench.training.embedding_gradient import EmbeddingGradient
from stabbench.training.evaluation import Evaluations, Validation
from stabbench.training.gradient_probe import GradientProbe
from stabbench.training.optimizers import build_optimizer, check_groups, parameter_groups, set_learning_rates
from stabbench.training.order import epoch_batches, order_hash
from stabbench.training.passes import PassCounter
from stabbench.training.schedule_free import evaluation_weights, settle
from stabbench.training.schedules import base_schedule, steps_of
from stabbench.training.trained import Trained
from stabbench.training.watching import Watching


@dataclass
class Loop:
    """Trains one model in place.

    Attributes:
        model: in training mode.
        anatomy: of the model.
        tokenizer: pads batches.
        examples, encoded: the training examples and their token ids, un-augmented.
        train: options after every stabilizer's `plan`.
        stabilizers, monitors: in suite order.
        seeds: the trial's.
        probe: the gradient probe.
        validation: the validation split, where an option of `train` looks at it.
    """

    model: nn.Module
    anatomy: Anatomy
    tokenizer: Any
    examples: Sequence[Example]
    encoded: Sequence[Encoded]
    train: TrainOptions
    stabilizers: Sequence[Stabilizer]
    monitors: Sequence[Monitor]
    seeds: TrialSeeds
    probe: GradientProbe
    validation: Validation | None = None

    def run(self) -> Trained:
        """Train, and return the traces that matching and failure detection need."""
        steps = steps_of(self.train, len(self.examples))
        self.accelerator = _accelerator(self.train)
        self.model.to(self.accelerator.device)
        # Before `prepare_model`, so that the paths are those of the unwrapped model.
        self.embedding_gradient = EmbeddingGradient(self.anatomy.word_embeddings)
        self.dropout = MatchedDropout(self.model, self.seeds)
        self._prepare(steps)
        self.passes = PassCounter(self.model, self.anatomy.blocks[-1])
        self.schedule, self.optimizer = self._optimizer(steps)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.masks_gradients = any(_overrides(s, "on_gradients") for s in self.stabilizers)
        for monitor in self.monitors:
            monitor.start(self.model, self.anatomy, steps)
        self.watching = Watching(
            self.monitors, self.model, self.parameters, self.dropout, cross_entropy, self.accelerator.autocast
        )
        for stabilizer in self.stabilizers:
            stabilizer.on_start(self.model, self.optimizer)
        try:
            trained = self._epochs(steps)
        finally:
            self.dropout.remove()
            self.passes.remove()
        for monitor in self.monitors:
            monitor.end()
        settle(self.built)
        trained.evaluations.restore()
        # Averages are in place before adapters are merged into the weights under them.
        for stabilizer in sorted(self.stabilizers, key=lambda s: s.reshapes):
            stabilizer.finish_model(self.model)
        return trained

    def _prepare(self, steps: int) -> None:
        """Let stabilizers see the data and change the model, those first that put other parameters into it."""
        for stabilizer in self.stabilizers:
            stabilizer.prepare_data(self.examples, self.seeds, TextEncoder(self.tokenizer, self.train.max_length))
        for stabilizer in sorted(self.stabilizers, key=lambda s: not s.reshapes):
            stabilizer.prepare_model(self.model, self.anatomy, self.seeds, steps)
            self.anatomy = anatomy(self.model)
        self.dropout.include(self.model)

    def _optimizer(self, steps: int) -> tuple[Schedule, Optimizer]:
        groups = parameter_groups(self.model, self.anatomy, self.train)
        for stabilizer in self.stabilizers:
            groups = stabilizer.group_params(groups, self.anatomy)
        check_groups(groups, self.model)
        schedule = self.base_schedule = base_schedule(self.train, steps)
        for stabilizer in self.stabilizers:
            schedule = stabilizer.wrap_schedule(schedule, steps)
        optimizer = self.built = build_optimizer(self.train, groups)
        for stabilizer in self.stabilizers:
            optimizer = stabilizer.wrap_optimizer(optimizer)
        return schedule, optimizer

    def _epochs(self, steps: int) -> Trained:
        orders: list[str] = []
        probe_step, probe_norm = [0], [self.probe.norms(self.model)]
        step, finite, seconds = 0, True, 0.0
        evaluations = Evaluations.of(self.train, self.base_schedule, self.validation)
        lengths = [len(item) for item in self.encoded]
        for epoch in itertools.count():
            batches = epoch_batches(lengths, self.train.batch_size, self.seeds, epoch)
            orders.append(order_hash([self.examples[index].id for batch in batches for index in batch]))
            losses = []
            start = time.perf_counter()
            for indices in batches[: steps - step]:
                losses.append(self._step(self._batch(indices), step))
                step += 1
            finite = bool(torch.stack(losses).isfinite().all())
            seconds += time.perf_counter() - start
            with evaluation_weights(self.built):
                probe_step.append(step)
                probe_norm.append(self.probe.norms(self.model))
                stops = [evaluations.after(self.model, step, float(torch.stack(losses).mean()))]
            accuracy = evaluations.scores[-1].accuracy if evaluations.scores else None
            stops += [stabilizer.on_evaluate(step, accuracy) for stabilizer in self.stabilizers]
            if not finite or any(stops) or step == steps:
                break
        counts = (self.passes.forwards, self.passes.backwards)
        return Trained(step, orders, self.dropout.hash, finite, probe_step, probe_norm, evaluations, seconds, *counts)

    def _batch(self, indices: Sequence[int]) -> Batch:
        chosen = [self.examples[index] for index in indices]
        labels, ids = [example.label for example in chosen], [example.id for example in chosen]
        return collate([self.encoded[index] for index in indices], self.tokenizer, labels, ids)

    def _step(self, batch: Batch, step: int) -> Tensor:
        """Do one optimizer step; return the cross-entropy, on the device."""
        for stabilizer in self.stabilizers:
            batch = stabilizer.transform_batch(batch, step)
        self.optimizer.zero_grad(set_to_none=True)
        micro_batches = [part.to(self.accelerator.device) for part in batch.parts(self.train.accumulation)]
        with self.embedding_gradient.collected(), self.passes.counting():
            objective = self._backward(micro_batches, step)(0)
        with_gradient = [p for p in self.parameters if p.grad is not None]
        raw = self._norms()
        self.watching.raw(step, micro_batches)
        if self.masks_gradients:
            gradients = Gradients(with_gradient, raw[[p.grad is not None for p in self.parameters]], step)
            for stabilizer in self.stabilizers:
                stabilizer.on_gradients(gradients)
        applied = self._norms() if self.masks_gradients else raw
        rate = set_learning_rates(self.optimizer, self.schedule(step))
        self.optimizer.step()
        for stabilizer in self.stabilizers:
            stabilizer.on_step(self.model, step)
        seen = Step(
            step, objective.cross_entropy, objective.total, raw, applied, rate, self.model, objective.logits,
            micro_batches, self.optimizer,
        )  # fmt: skip
        for monitor in self.monitors:
            monitor.observe(seen)
        return objective.cross_entropy

    def _norms(self) -> Tensor:
        """Return (P,) gradient norms of all trainable parameters, 0 where there is no gradient."""
        gradients = (self.embedding_gradient.touched(parameter) for parameter in self.parameters)
        present = [gradient for gradient in gradients if gradient is not None]
        norms = torch.stack(torch._foreach_norm(present))
        if len(present) == len(self.parameters):
            return norms
        full = norms.new_zeros(len(self.parameters))
        full[[p.grad is not None for p in self.parameters]] = norms
        return full

    def _backward(self, micro_batches: Sequence[Batch], step: int) -> Backward:
        """Return the closure over all micro-batches, wrapped by every stabilizer, the last outermost."""
        loss: Loss = cross_entropy
        for stabilizer in self.stabilizers:
            loss = stabilizer.wrap_loss(loss)

        # By examples, not by micro-batches: a short one counts for as many as it has.
        total = sum(len(batch) for batch in micro_batches)
        shares = [len(batch) / total for batch in micro_batches]

        def accumulate(draw: int = 0, scale: float = 1.0) -> Objective:
            found = [
                self._accumulate(loss, batch, (step, index, draw), scale * share)
                for index, (batch, share) in enumerate(zip(micro_batches, shares, strict=True))
            ]
            return _mean(found, shares)

        backward: Backward = accumulate
        for stabilizer in self.stabilizers:
            backward = stabilizer.wrap_backward(backward)
        return backward

    def _accumulate(self, loss: Loss, batch: Batch, place: tuple[int, int, int], scale: float) -> Objective:
        def forward(batch: Batch, draw: int = 0) -> Tensor:
            for stabilizer in self.stabilizers:
                stabilizer.on_forward(batch, Place(*place, draw))
            with self.dropout.drawing(*place, draw):
                logits: Tensor = self.model(**batch.inputs()).logits
            return logits.float()

        # Around the loss, not the forward: passes of one objective then share the weights' casts to bf16.
        with self.accelerator.autocast():
            objective = loss(forward, batch)
        torch.autograd.backward(objective.total * scale)
        return Objective(objective.total.detach(), objective.cross_entropy.detach(), objective.logits.detach())


def cross_entropy(forward: Callable[..., Tensor], batch: Batch) -> Objective:
    """Return the plain objective: mean over the batch of −log softmax(f(x))_y."""
    logits = forward(batch)
    assert batch.labels is not None
    value = nn.functional.cross_entropy(logits, batch.labels)
    return Objective(value, value, logits)


def _mean(found: Sequence[Objective], shares: Sequence[float]) -> Objective:
    if len(found) == 1:
        return found[0]
    weights = found[0].total.new_tensor(shares)
    return Objective(
        torch.stack([item.total for item in found]) @ weights,
        torch.stack([item.cross_entropy for item in found]) @ weights,
        torch.cat([item.logits for item in found]),
    )


def _accelerator(train: TrainOptions) -> Accelerator:
    # Accelerate keeps one configuration per process; trials of one process may differ in precision.
    AcceleratorState._reset_state(reset_partial_state=True)
    return Accelerator(mixed_precision={"fp32": "no", "bf16": "bf16"}[train.precision])


def _overrides(stabilizer: Stabilizer, hook: str) -> bool:
    return getattr(type(stabilizer), hook) is not getattr(Stabilizer, hook)
