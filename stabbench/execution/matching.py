"""Are two trials of one seed really matched? Their stored hashes must agree wherever nothing declared a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stabbench.claims.across_facts import differing
from stabbench.planning.cells import train_id
from stabbench.planning.trials import Arm
from stabbench.store.cells import StoredCell


@dataclass(frozen=True)
class Mismatch:
    """A pair that must not be called matched: which seed, against which variant, in which stream."""

    variant: str
    seed: str
    stream: str

    def __str__(self) -> str:
        return f"{self.variant}, seed {self.seed}: the {self.stream} hash differs from the reference's"


def mismatches(arms: Iterable[Arm], seeds: Iterable[str], stored: Mapping[str, StoredCell]) -> list[Mismatch]:
    """Return every pair whose hashes differ in a stream that neither arm declared as changed.

    The first arm is the reference.
    """
    reference, *candidates = arms
    found = []
    for arm in candidates:
        for seed in seeds:
            pair = [stored.get(train_id(variant, seed)) for variant in (reference.variant, arm.variant)]
            if pair[0] is None or pair[1] is None:
                continue
            changed = reference.changed_streams | arm.changed_streams
            weights = reference.changed_weights or arm.changed_weights
            streams = differing(pair[0].details["hashes"], pair[1].details["hashes"])
            found += [
                Mismatch(arm.variant, seed, s) for s in streams if s not in changed and not (s == "init" and weights)
            ]
    return found
