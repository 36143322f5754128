"""Random streams that never share state: every seed is derived by hashing what it is for.

A *stream* is named by its purpose (init, order, dropout, augmentation, extra), so that an extra draw in one of them
shifts nothing in another, and two arms with the same seed see the same numbers in every stream that neither changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from operator import index
from random import Random
from typing import Literal

Stream = Literal["init", "order", "dropout", "augmentation", "extra"]
STREAMS: tuple[Stream, ...] = ("init", "order", "dropout", "augmentation", "extra")


def derive(*parts: str | int) -> int:
    """Return an integer in [0, 2⁶³) that is a fixed function of `parts`: 63 bits of BLAKE2b over their text.

    Parts are length-prefixed, so ``derive("a", "bc")`` and ``derive("ab", "c")`` differ.
    """
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        # A NumPy scalar is the number or text that it holds.
        text = (f"str:{part}" if isinstance(part, str) else f"int:{index(part)}").encode()
        digest.update(len(text).to_bytes(4, "big") + text)
    return int.from_bytes(digest.digest(), "big") >> 1


def random_for(*parts: str | int) -> Random:
    """Return a `random.Random` seeded by `derive(*parts)`."""
    return Random(derive(*parts))


@dataclass(frozen=True)
class TrialSeeds:
    """The seeds of one trial: `init` seeds the head and the dropout, `order` the order of the examples.

    The label is ``3`` where both are 3 and ``3/1`` where they are crossed.
    """

    init: int
    order: int

    @classmethod
    def parse(cls, label: str) -> TrialSeeds:
        """Read a label: ``3`` or ``3/1``."""
        init, _, order = label.partition("/")
        return cls(int(init), int(order or init))

    @property
    def label(self) -> str:
        """The label that `parse` reads."""
        return str(self.init) if self.init == self.order else f"{self.init}/{self.order}"

    def stream(self, name: Stream) -> int:
        """Return the seed of a stream; order and augmentation follow `order`, the others `init`."""
        return derive("trial", name, self.order if name in ("order", "augmentation") else self.init)
