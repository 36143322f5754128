"""What a rule is: a signature in numbers, the cause that it points to, and what to try."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import Evidence, Remedy
from stabbench.diagnosis.signals import Signals


@dataclass(frozen=True)
class Sighting:
    """A signature that was seen.

    Attributes:
        evidence: what was seen.
        remedies: in order; None and what does not fit are left out later.
        cause: the likely cause where it is more particular than the rule's.
        seeds: the runs it is about; empty: the rule's.
    """

    evidence: Sequence[Evidence]
    remedies: Iterable[Remedy | None]
    cause: str = ""
    seeds: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialRule:
    """A rule on one training's trace.

    Attributes:
        name, number: its name, and its number in the decision table.
        signature, cause: in general words.
        look: returns what was seen in a trace of an arm, or None.
        needs: arrays of the trace without which it cannot be judged.
        unless: rules that, where they fired on the same run, explain it already.
    """

    name: str
    number: int
    signature: str
    cause: str
    look: Callable[[Signals, Arm], Sighting | None]
    needs: tuple[str, ...] = ("cross_entropy", "raw_norm")
    unless: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArmRule:
    """A rule on all runs of an arm, beside the others of the suite."""

    name: str
    number: int
    signature: str
    cause: str
    look: Callable[[Arm, Sequence[Arm]], Sighting | None]


def digits(value: float) -> str:
    """Return a number with three significant digits, for sentences."""
    return f"{value:.3g}"
