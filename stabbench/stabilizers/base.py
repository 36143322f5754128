"""What a stabilizer may do to training: one hook per point of the loop, each the identity unless overridden.

The hooks are called in this order (``training/loop.py`` prints the loop with them)::

    plan → prepare_data → prepare_model → group_params → wrap_schedule → wrap_optimizer → on_start
    per step: transform_batch → wrap_loss(forward) → wrap_backward(closure over micro-batches, draw)
              before every forward in it: on_forward
              → [raw norms] → on_gradients → [applied norms] → optimizer step → on_step
    at checkpoints: on_evaluate        at the end: finish_model

Wrappers nest in suite order: the last stabilizer is the outermost. A stabilizer that `reshapes` the model prepares it
before all others, which so see the parameters that will be trained, and finishes it after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from stabbench.data.example import Example
from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import TextEncoder
from stabbench.registry import Plugin
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import TrainOptions

ParamGroup = dict[str, Any]
"""A parameter group of the optimizer, with ``params``, ``lr``, ``weight_decay``, and ``block`` (name of the block)."""
Schedule = Callable[[float], float]
"""Step (0-based; a stretched schedule may ask between steps) → factor of the learning rate, in [0, 1]."""


class Place(NamedTuple):
    """Which forward of a run this is; draws that depend on it alone are not shifted by other draws.

    Attributes:
        step: 0-based optimizer step.
        micro_batch: 0-based micro-batch of the step.
        backward_pass: the `draw` that `Backward` was called with.
        draw: the `draw` that `Forward` was called with.
    """

    step: int
    micro_batch: int
    backward_pass: int
    draw: int


class Forward(Protocol):
    """Runs the model: logits (B, C). `draw` tells passes of one step apart, so that each has its own dropout masks."""

    def __call__(self, batch: Batch, draw: int = 0) -> Tensor:
        """Return the logits."""
        ...


@dataclass
class Objective:
    """What one evaluation of the loss gives.

    Attributes:
        total: scalar that is differentiated.
        cross_entropy: scalar, the plain mean cross-entropy of the first pass, traced in every arm.
        logits: (B, C) of the first pass.
    """

    total: Tensor
    cross_entropy: Tensor
    logits: Tensor


Loss = Callable[[Forward, Batch], Objective]


class Backward(Protocol):
    """Runs forward and backward over all micro-batches of the step, *adding* to ``.grad``.

    `draw` as in `Forward`; `scale` multiplies the objective. Returns the objective averaged over micro-batches,
    detached.
    """

    def __call__(self, draw: int = 0, scale: float = 1.0) -> Objective:
        """Add the gradients and return the objective."""
        ...


@dataclass(frozen=True)
class Gradients:
    """What `on_gradients` sees.

    Attributes:
        parameters: all trainable parameters that have a gradient; scale or mask ``.grad`` in place, and leave rows of
            word embeddings that are zero at zero: only the rows of a step are cleared before the next.
        norms: (P,) L2 norm of each parameter's gradient before any stabilizer acts, in the order of `parameters`.
        step: 0-based.
    """

    parameters: list[nn.Parameter]
    norms: Tensor
    step: int


class Stabilizer(Plugin):
    """Changes training; does nothing at its `null` options.

    A subclass is a dataclass whose fields are its options; state is made in `prepare_model` as plain attributes.

    Attributes:
        null: options at which training is bit-equal to training without it.
        streams: random streams (see `seeding.STREAMS`) whose draws it changes; matching is not demanded of these.
        weights: True where the weights before the first step differ from the reference's.
        owns: what only one stabilizer of a variant can have in hand, beside the exclusive hooks that it overrides.
        reshapes: True where it replaces or wraps modules while training lasts.
        package: package that it needs beside the core's; the extra that installs it has the same name.
        uses: option that names plug-ins → kind of those plug-ins; their versions become part of the key.
        passes: forward and backward passes per step, as formulas over the options (`planning.compute.evaluate`).
        refuses: what it cannot work with → why: another stabilizer's name, or a training option as ``option=value``.
    """

    null: ClassVar[Mapping[str, object]]
    streams: ClassVar[frozenset[str]] = frozenset()
    weights: ClassVar[bool] = False
    owns: ClassVar[frozenset[str]] = frozenset()
    reshapes: ClassVar[bool] = False
    package: ClassVar[str | None] = None
    uses: ClassVar[Mapping[str, str]] = {}
    passes: ClassVar[tuple[str, str]] = ("1", "1")
    refuses: ClassVar[Mapping[str, str]] = {}

    #: Hooks that only one stabilizer of a variant may override.
    EXCLUSIVE: ClassVar[frozenset[str]] = frozenset({"wrap_optimizer", "wrap_backward"})
    HOOKS: ClassVar[tuple[str, ...]] = (
        "plan", "prepare_data", "prepare_model", "group_params", "wrap_schedule", "wrap_optimizer", "on_start",
        "transform_batch", "wrap_loss", "wrap_backward", "on_forward", "on_gradients", "on_step", "on_evaluate",
        "finish_model",
    )  # fmt: skip

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return the overridden hooks, what only one may own, what matching must not demand, cost, needs, refusals."""
        hooks = [name for name in cls.HOOKS if getattr(cls, name) is not getattr(Stabilizer, name)]
        return {
            "hooks": hooks,
            "exclusive": sorted((cls.EXCLUSIVE & set(hooks)) | cls.owns),
            "null": dict(cls.null),
            "streams": sorted(cls.streams),
            "weights": cls.weights,
            "package": cls.package,
            "uses": dict(cls.uses),
            "passes": list(cls.passes),
            "refuses": dict(cls.refuses),
        }

    def plan(self, train: TrainOptions) -> TrainOptions:
        """Return the training options to use, such as more epochs."""
        return train

    def prepare_data(self, examples: Sequence[Example], seeds: TrialSeeds, encode: TextEncoder) -> None:
        """See the training examples, and how texts become a batch; `transform_batch` is given their ids."""

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Change the model in place before the first step, or make state; `steps` is the number of optimizer steps."""

    def group_params(self, groups: list[ParamGroup], anatomy: Anatomy) -> list[ParamGroup]:
        """Return the parameter groups; their parameters must stay the same set."""
        return groups

    def wrap_schedule(self, schedule: Schedule, steps: int) -> Schedule:
        """Return the learning-rate schedule to use."""
        return schedule

    def wrap_optimizer(self, optimizer: Optimizer) -> Optimizer:
        """Return the optimizer to use."""
        return optimizer

    def on_start(self, model: nn.Module, optimizer: Optimizer) -> None:
        """See the model and the optimizer that holds all it will ever train, just before the first step."""

    def transform_batch(self, batch: Batch, step: int) -> Batch:
        """Return the batch to train on."""
        return batch

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective to differentiate."""
        return loss

    def wrap_backward(self, backward: Backward) -> Backward:
        """Return the procedure that fills ``.grad``; may call `backward` several times with different `draw`."""
        return backward

    def on_forward(self, batch: Batch, place: Place) -> None:
        """See what the model is about to run on in training, and which forward of the run it is."""

    def on_gradients(self, gradients: Gradients) -> None:
        """Change the gradients in place: clip, mask."""

    def on_step(self, model: nn.Module, step: int) -> None:
        """See the weights after each optimizer step."""

    def on_evaluate(self, step: int, validation_accuracy: float | None) -> bool:
        """Return True to stop training here."""
        return False

    def finish_model(self, model: nn.Module) -> None:
        """Put the final weights in place, strip wrappers, merge adapters."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed to go on; empty where there is none."""
        return {}
