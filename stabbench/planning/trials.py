"""The trials of a suite: each (variant, seed) with its resolved training options, stabilizers and random streams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stabbench import registry
from stabbench.planning.compute import Compute, compute_for, declared_passes
from stabbench.store.environment import best_precision
from stabbench.suite.compressions import stages
from stabbench.suite.load import seed_labels
from stabbench.suite.schema import Model, Suite, TrainOptions

# Training options that change what a random stream gives; matching must not demand equality of that stream then.
STREAMS_OF_OPTIONS: Mapping[str, str] = {
    "batch_size": "order", "max_length": "order", "accumulation": "dropout",
}  # fmt: skip


@dataclass(frozen=True)
class Plugged:
    """A plug-in with all its options filled in.

    Attributes:
        name: its name in the suite.
        options: every option, defaults included.
        version: the plug-in's version, for keys.
    """

    name: str
    options: Mapping[str, Any]
    version: int

    @classmethod
    def of(cls, kind: str, name: str, given: Mapping[str, Any]) -> Plugged:
        """Fill in the defaults from the plug-in's card."""
        card = registry.card(kind, name)
        return cls(name, {**card.defaults(), **given}, card.version)

    def for_key(self) -> list[Any]:
        """Return what of it belongs into a key."""
        return [self.name, self.version, dict(self.options)]


@dataclass(frozen=True)
class Checkpoint:
    """A finished classifier in place of a training.

    Attributes:
        model: the folder or hub id, and a hub commit.
        classes: label of the data that each of its outputs stands for; None: told by its config.
    """

    model: Model
    classes: tuple[str, ...] | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, which `from_dict` reads."""
        return {"model": self.model.model_dump(), "classes": None if self.classes is None else list(self.classes)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Checkpoint:
        """Read what `as_dict` gave."""
        classes = content["classes"]
        return cls(Model.model_validate(content["model"]), None if classes is None else tuple(classes))


@dataclass(frozen=True)
class Arm:
    """A variant with its resolved options.

    Attributes:
        variant: its name.
        train: training options, `precision` resolved.
        stabilizers: in suite order.
        changed_streams: random streams that its stabilizers or options declare as changed against the reference.
        changed_weights: True where the weights before `prepare_model` may differ from the reference's.
        passes: declared (forward, backward) passes per step.
        compute: what it may spend, where it is matched to the reference's passes.
        checkpoint: a finished classifier that is measured in place of a trained one, or None.
    """

    variant: str
    train: TrainOptions
    stabilizers: tuple[Plugged, ...]
    changed_streams: frozenset[str]
    changed_weights: bool
    passes: tuple[float, float] = (1.0, 1.0)
    compute: Compute | None = None
    checkpoint: Checkpoint | None = None


def arms(suite: Suite) -> tuple[Arm, ...]:
    """Return the suite's arms, the reference first."""
    reference = suite.compare.reference
    ordered = sorted(suite.variants, key=lambda name: name != reference)
    base = train_options(suite, ordered[0])
    base_passes = sum(declared_passes((item.name, item.options) for item in _plugged(suite, ordered[0])))
    return tuple(_arm(suite, name, base, base_passes) for name in ordered)


def train_options(suite: Suite, variant: str) -> TrainOptions:
    """Return the variant's training options with `precision` resolved to what this machine will use."""
    merged = {**suite.train.model_dump(), **suite.variants[variant].train}
    options = TrainOptions.model_validate(merged)
    return options.model_copy(update={"precision": best_precision()}) if options.precision == "auto" else options


def _plugged(suite: Suite, variant: str) -> tuple[Plugged, ...]:
    given = [(key, value) for entry in suite.variants[variant].stabilizers for key, value in entry.items()]
    return tuple(Plugged.of("stabilizers", key, options) for key, options in given)


def checkpoint_of(suite: Suite, variant: str) -> Checkpoint | None:
    """Return the finished classifier that a variant is, or None where it is trained."""
    given = suite.variants[variant]
    if given.checkpoint is None:
        return None
    classes = None if given.classes is None else tuple(given.classes)
    return Checkpoint(Model(name=given.checkpoint, revision=given.revision), classes)


def _arm(suite: Suite, name: str, base: TrainOptions, base_passes: float) -> Arm:
    train = train_options(suite, name)
    if (checkpoint := checkpoint_of(suite, name)) is not None:
        return Arm(name, train, (), frozenset(), True, checkpoint=checkpoint)
    stabilizers = _plugged(suite, name)
    traits = [registry.card("stabilizers", item.name).traits for item in stabilizers]
    streams = {stream for item in traits for stream in item.get("streams", ())}
    streams |= {s for option, s in STREAMS_OF_OPTIONS.items() if getattr(train, option) != getattr(base, option)}
    # A batch of other examples has other dropout masks.
    streams |= {"dropout"} if "order" in streams else set()
    passes = declared_passes((item.name, item.options) for item in stabilizers)
    compute = compute_for(train, sum(passes), base, base_passes)
    changed = any(item.get("weights", False) for item in traits)
    return Arm(name, train, stabilizers, frozenset(streams), changed, passes, compute)


def chain(compression: str | list[str]) -> tuple[str, ...]:
    """Return the compressors of one entry of `compressions`, in order."""
    return stages(compression)


def chain_name(compression: str | list[str]) -> str:
    """Return the label of a chain: ``prune-structured+ort-int8``."""
    return "+".join(chain(compression))


def labels(suite: Suite) -> list[str]:
    """Return the seeds' labels."""
    return seed_labels(suite)
