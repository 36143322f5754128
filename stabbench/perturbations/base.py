"""Noise on text: seeded per example, nested over severities, blind to the label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any, ClassVar

from stabbench.registry import Plugin
from stabbench.seeding import random_for

SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)


class Perturbation(Plugin, ABC):
    """Changes text at one of five severities.

    A subclass declares `rates` and overrides `edit`. Edits are nested: what severity s changes, severity s+1 changes
    too, because the draws do not depend on the severity, only the share of places that act on them does.

    Attributes:
        rates: share of places edited at severity 1 … 5.
        places: what a place is: ``letter`` or ``word``.
        sample: a text on which it acts; the contract tests try it there.
    """

    rates: ClassVar[tuple[float, float, float, float, float]]
    places: ClassVar[str]
    sample: ClassVar[str] = (
        "It's true: the colour of their film wasn't really great, but we don't know whether people would believe it."
    )

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return the severities' rates and what they are shares of."""
        return {"rates": list(cls.rates), "places": cls.places}

    def missing(self) -> str | None:
        """Return what it needs and this machine lacks, and what would get it; None where it can run."""
        return None

    def perturb(self, text: str, severity: int, example: str, seed: int) -> str:
        """Return `text` with noise; a fixed function of its arguments and the plug-in's name. Severity 0: unchanged."""
        if severity == 0:
            return text
        return self.edit(text, self.rates[severity - 1], random_for(type(self).__module__, example, seed))

    @abstractmethod
    def edit(self, text: str, rate: float, rng: Random) -> str:
        """Return `text` with a share `rate` of its places edited; draws must not depend on `rate`."""
