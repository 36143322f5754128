"""What cannot work together in one variant, and why: stabilizers with training options, and options with the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stabbench import registry
from stabbench.errors import Problem
from stabbench.suite.schema import Suite, TrainOptions
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath

# What a stabilizer may own (its trait `exclusive`) → training options that have it in hand themselves, and why.
OWNED_BY_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "the final weights": {
        "early_stopping.checkpoint=best": "both decide the final weights: an average of the steps, and the best "
        "evaluation's",
        "optimizer=schedule_free": "schedule_free averages the weights itself, and takes gradients at other weights "
        "than it evaluates: an average of those is neither",
    },
}


def validation_needed(option: str) -> str:
    """Return the message for an option that looks at a validation split that is not there."""
    return (
        f"train.{option} looks at the validation split, and there is none: give data.validation, such as "
        "{fraction: 0.1}. The test split is never looked at in training"
    )


def option_problems(suite: Suite, train: TrainOptions, path: KeyPath, document: Document) -> Iterator[Problem]:
    """Yield what a variant's training options ask for and the suite's data does not have."""
    option = train.looks_at_validation
    if option is not None and suite.data.validation is None and option != suite.train.looks_at_validation:
        yield document.problem((*path, option), validation_needed(option))
    overrides = document.value(path)
    if train.match_compute and isinstance(overrides, Mapping) and overrides.get("match_compute"):
        for key in ("epochs", "max_steps"):
            if overrides.get(key) is not None:
                message = f"match_compute decides the number of steps, from the reference's; leave '{key}' out here"
                yield document.problem((*path, key), message)


def shared_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield what the suite's own training options ask for and its data does not have, once for all variants."""
    option = suite.train.looks_at_validation
    if option is not None and suite.data.validation is None:
        yield document.problem(("train", option), validation_needed(option))


def refused_problems(names: Sequence[str], train: TrainOptions, path: KeyPath, document: Document) -> Iterator[Problem]:
    """Yield the pairs of a stabilizer and a training option, or of two stabilizers, that cannot work together."""
    known = [name for name in dict.fromkeys(names) if name in registry.names("stabilizers")]
    for name in known:
        for other, reason in refusals(name).items():
            refused = other in known if "=" not in other else _has(train, other)
            if refused:
                shown = f"train.{other.replace('=', ': ')}" if "=" in other else f"'{other}'"
                yield document.problem(path, f"'{name}' cannot work with {shown}: {reason}")


def refusals(name: str) -> dict[str, str]:
    """Return what a stabilizer refuses → why: names of others, and training options as ``option=value``."""
    traits = registry.card("stabilizers", name).traits
    owned = {key: reason for what in traits["exclusive"] for key, reason in OWNED_BY_OPTIONS.get(what, {}).items()}
    return {**owned, **traits.get("refuses", {})}


def _has(train: TrainOptions, setting: str) -> bool:
    place, _, wanted = setting.partition("=")
    value: object = train
    for part in place.split("."):
        value = getattr(value, part, None)
    return str(value) == wanted
