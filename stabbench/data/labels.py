"""Which label of the data each output of a finished classifier stands for: told by names or numbers, never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stabbench.errors import ConfigurationError, Problem, suggestion

_UNNAMED = re.compile(r"LABEL_\d+")


@dataclass(frozen=True)
class Outputs:
    """The outputs of a classifier in the data's words.

    Attributes:
        labels: label of each output, in the order of the outputs.
        note: how that was told, for the reader.
    """

    labels: tuple[str, ...]
    note: str


def read_outputs(names: Sequence[str], found: Iterable[str], given: Sequence[str] | None, place: str) -> Outputs:
    """Return the label of each output.

    In this order: as `given`; by equal names, capitals aside; by number, where the data's labels are whole numbers
    below the number of outputs (label i is then output i, whatever its name, and the note says which name that is).
    Anything else is a mistake: names that differ say nothing about which is which.

    Args:
        names: what the classifier's config calls its outputs, in their order (``id2label``).
        found: labels in the data.
        given: label of each output, as the user says; None: not said.
        place: what the classifier is called, for messages.

    Raises:
        ConfigurationError: the outputs cannot be told from one another.
    """
    labels = sorted(set(found))
    if given is not None:
        return _as_given(names, labels, given, place)
    if set(labels) <= set(names):
        return Outputs(tuple(names), f"by name: {', '.join(names)}")
    if _folded(labels) <= _folded(names) and len(_folded(names)) == len(names) and len(_folded(labels)) == len(labels):
        spelt = {label.strip().casefold(): label for label in labels}
        return Outputs(
            tuple(spelt.get(name.strip().casefold(), name) for name in names),
            f"by name, capitals aside: {', '.join(names)}",
        )
    if all(label in map(str, range(len(names))) for label in labels):
        numbers = tuple(str(index) for index in range(len(names)))
        if all(_UNNAMED.fullmatch(name) for name in names):
            return Outputs(numbers, "by number: the config gives its outputs no names")
        read = ", ".join(f"{number} is read as '{name}'" for number, name in zip(numbers, names, strict=True))
        return Outputs(numbers, f"by number, since the data has numbers: {read}")
    raise ConfigurationError([_mismatch(names, labels, place)])


def _as_given(names: Sequence[str], labels: Sequence[str], given: Sequence[str], place: str) -> Outputs:
    problems = []
    if len(given) != len(names):
        message = f"classes: {len(given)} labels are given, and {place} has {len(names)} outputs ({', '.join(names)})"
        problems.append(f"{message}; name one label for each output, in their order")
    for label in labels:
        if label not in given:
            hint = suggestion(label, given)
            problems.append(f"classes: the data has the label '{label}', which is not among {', '.join(given)}.{hint}")
    if problems:
        raise ConfigurationError(problems)
    told = ", ".join(f"'{name}' is {label}" for name, label in zip(names, given, strict=True) if name != label)
    return Outputs(tuple(given), f"as given: {told}" if told else "as given")


def _mismatch(names: Sequence[str], labels: Sequence[str], place: str) -> Problem:
    there = f"{place} calls its outputs {', '.join(names)} (id2label of its config), the data's labels are"
    example = ",".join(labels[: len(names)] if len(labels) >= len(names) else [*labels, *names[len(labels) :]])
    if len(labels) > len(names):
        return Problem(
            f"{there} {', '.join(labels[:12])}: more labels than outputs. It was fine-tuned for another task, or "
            "the label column is the wrong one."
        )
    return Problem(
        f"{there} {', '.join(labels)}: which is which cannot be told from that. Say it, output by output: "
        f"--classes {example} (in a suite: classes: [{example.replace(',', ', ')}]), if that is their order."
    )


def _folded(names: Iterable[str]) -> set[str]:
    return {name.strip().casefold() for name in names}
