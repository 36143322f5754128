"""What a diagnosis says: a signature, the numbers that show it, the likely cause, and remedies in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stabbench.records import finite

# Figures of the report by what they show; the report's section of that id holds them.
GRADIENTS = "gradients: gradient norm per block and step"
PROBE = "gradients: gradient probe at checkpoints"
SEEDS = "training: accuracy over seeds"


@dataclass(frozen=True)
class Evidence:
    """One observation.

    Attributes:
        text: in words, with its numbers.
        numbers: the same numbers by name.
        steps: (first, last) step, 0-based, that it was made over; None where it is about the whole run.
        blocks: parts of the model that it is about.
        figure: the report's figure that shows it, ``section: title``, or None.
    """

    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[int, int] | None = None
    blocks: tuple[str, ...] = ()
    figure: str | None = None


@dataclass(frozen=True)
class Remedy:
    """One change of a variant that is worth trying.

    Attributes:
        text: in words.
        train: training options to set.
        add: stabilizers to put in, or whose options to set where they are there.
        remove: stabilizers to take out.
    """

    text: str
    train: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remove: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether it is a change that a suite can make; else it is advice."""
        return bool(self.train or self.add or self.remove)

    def fragment(self) -> dict[str, Any]:
        """Return the change as a part of a suite's variant, empty for advice; ``without`` names what to take out."""
        parts: dict[str, Any] = {}
        if self.train:
            parts["train"] = dict(self.train)
        if self.add:
            parts["stabilizers"] = [{name: dict(options)} for name, options in self.add.items()]
        if self.remove:
            parts["without"] = list(self.remove)
        return parts


@dataclass(frozen=True)
class Finding:
    """One rule that fired.

    Attributes:
        rule: its name, such as ``never-learned``.
        number: its number in the decision table.
        variant: the arm.
        seeds: the runs it is about, by seed; all of the arm's where it is about the arm.
        signature: what was looked for, in general words.
        cause: what most likely makes it.
        evidence: what was seen.
        remedies: in the order in which they are worth trying; those that this version has not are left out.
    """

    rule: str
    number: int
    variant: str
    seeds: tuple[str, ...]
    signature: str
    cause: str
    evidence: tuple[Evidence, ...]
    remedies: tuple[Remedy, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        content: dict[str, Any] = finite(
            {
                "rule": self.rule,
                "number": self.number,
                "variant": self.variant,
                "seeds": list(self.seeds),
                "signature": self.signature,
                "cause": self.cause,
                "evidence": [
                    {
                        "text": item.text,
                        "numbers": dict(item.numbers),
                        "steps": None if item.steps is None else list(item.steps),
                        "blocks": list(item.blocks),
                        "figure": item.figure,
                    }
                    for item in self.evidence
                ],
                "remedies": [{"text": item.text, "fragment": item.fragment()} for item in self.remedies],
            }
        )
        return content
