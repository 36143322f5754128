"""Adaptive seeds: at which look the claims of a suite are judged, at what levels, and whether the looks can stop.

One primary claim, that of `seeds.until`, decides how many seeds are run. Its paired t test is group-sequential
(`statistics.sequential`). The other primary claims did not choose the moment, but they may go with the one that did, so
they are tested at the level of the same look: Holm's procedure in which each claim has its own spending function, which
holds the error of the family whichever claim stopped the looks. Secondary claims stay unadjusted and say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stabbench.claims.claim import Claim
from stabbench.records import Row
from stabbench.statistics.sequential import Design, chance_of_decision, holm_levels_at, looks_between
from stabbench.suite.schema import AdaptiveSeeds, SeedsAtLook, Suite

DECIDED = ("improved", "regressed", "equivalent")
EQUIVALENCE = 0.10
"""Two-sided error of the interval that must lie inside the margin: two one-sided tests at 5 %."""
UNMATCHED = "unmatched trials"
"""How the reason of a claim begins whose trials are not matched; more seeds would not mend it."""
Ending = Literal["decided", "futile", "last look", "blocked", "open"]


@dataclass(frozen=True)
class Look:
    """One look of a suite with adaptive seeds.

    Attributes:
        design: when it is looked, and how the error is spent.
        index: which look, from 0.
        until: metric of the claim that decides.
    """

    design: Design
    index: int
    until: str

    @property
    def seeds(self) -> int:
        """Seeds run by this look."""
        return self.design.looks[self.index]

    @property
    def most(self) -> int:
        """Seeds at the last look."""
        return self.design.looks[-1]

    @property
    def is_last(self) -> bool:
        """Whether no look follows."""
        return self.seeds == self.most

    @property
    def place(self) -> str:
        """``look 2 of 5``."""
        return f"look {self.index + 1} of {len(self.design.looks)}"

    @property
    def equivalence_level(self) -> float:
        """Coverage of the interval that must lie inside the margin at this look."""
        return 1 - self.design.level(self.index, EQUIVALENCE)

    def levels(self, p_values: Sequence[float | None], alpha: float) -> list[tuple[float, float]]:
        """Return (share of the error, level) of every primary claim."""
        return holm_levels_at(p_values, alpha, lambda share: self.design.level(self.index, share))

    def chance(self, claim: Claim, share: float) -> float | None:
        """Return the chance that the last look decides a claim, or None where it has no finite interval."""
        if claim.interval is None or claim.effect is None or not all(map(math.isfinite, claim.interval)):
            return None
        from scipy.special import stdtrit

        half = (claim.interval[1] - claim.interval[0]) / 2
        error = half / float(stdtrit(claim.n_used - 1, 0.5 + claim.level / 2))
        # Pairs that a failed run takes out are lost at the same rate later on.
        last = max(claim.n_used, round(claim.n_used * self.most / self.seeds))
        final = [self.design.level(len(self.design.looks) - 1, error_share) for error_share in (share, EQUIVALENCE)]
        return chance_of_decision(claim.effect, error, claim.n_used, last, final[0], claim.margin, final[1])


def design_of(seeds: AdaptiveSeeds) -> Design:
    """Return the design of adaptive seeds: up to five looks from `min` to `max` in about equal ratios."""
    return Design(looks_between(seeds.min, seeds.max))


def at_look(suite: Suite, count: int) -> Suite:
    """Return the suite as of the first look with at least `count` seeds."""
    seeds = suite.seeds
    assert isinstance(seeds, AdaptiveSeeds)
    reached = next((n for n in design_of(seeds).looks if n >= count), seeds.max)
    found = SeedsAtLook(min=seeds.min, max=seeds.max, until=seeds.until, count=reached)
    return suite.model_copy(update={"seeds": found})


def as_run(suite: Suite, rows: Sequence[Row]) -> Suite:
    """Return the suite as of the look that the rows reach; unchanged where it is as of a look already, or not adaptive.

    Seeds are run look by look in order, so the largest seed tells the look.
    """
    if not isinstance(suite.seeds, AdaptiveSeeds) or isinstance(suite.seeds, SeedsAtLook):
        return suite
    return at_look(suite, max((int(row.seed) + 1 for row in rows if row.seed is not None), default=0))


def look_of(suite: Suite) -> Look | None:
    """Return the look that a suite is as of; None where its seeds are not adaptive."""
    seeds = suite.seeds
    if not isinstance(seeds, SeedsAtLook):
        return None
    design = design_of(seeds)
    return Look(design, design.looks.index(seeds.count), seeds.until)


def primary_note(look: Look, claim: Claim, share: float) -> str:
    """Return what the reader of a primary claim must know of the looks: level, seeds, and what was saved or missed."""
    tested = f"{look.place}, {look.seeds} of at most {look.most} seeds: tested at {1 - claim.level:.2g} of {share:.3g}"
    if claim.metric != look.until:
        return f"{tested}, since the claim on {look.until} chose the number of seeds"
    if claim.verdict in DECIDED:
        return tested if look.is_last else f"{tested}; {saved(look)}"
    if claim.chance is None:
        return tested
    futile = f", so the looks stopped; {saved(look)}" if claim.chance < look.design.futility else ""
    return f"{tested}; the chance to decide it with {look.most} seeds is {100 * claim.chance:.0f} %{futile}"


def secondary_note(look: Look) -> str:
    """Return what a secondary claim says: that another claim chose the seeds it is computed on."""
    return f"the claim on {look.until} chose the number of seeds; not adjusted for it"


def saved(look: Look) -> str:
    """Return ``64 % of the trials saved``."""
    return f"{round(100 * (1 - look.seeds / look.most))} % of the trials saved"


def ending(look: Look, claims: Sequence[Claim]) -> tuple[Ending, str]:
    """Return whether the looks end here, and how, in words; `claims` are those made at this look."""
    claim = next(claim for claim in claims if claim.primary and claim.metric == look.until)
    if claim.verdict == "incomplete" or claim.reason.startswith(UNMATCHED):
        reason = claim.reason.split(";")[0]
        told = f"{look.place}, {look.seeds} of at most {look.most} seeds: {look.until} cannot be judged ({reason})"
        return "blocked", told
    if look.is_last:
        return "last look", f"all {look.most} seeds were run ({look.place}): {look.until} {claim.verdict}"
    stopped = f"stopped at {look.place}: {look.seeds} of {look.most} seeds, {saved(look)}"
    if claim.verdict in DECIDED:
        return "decided", f"{stopped}: {look.until} {claim.verdict}"
    if claim.chance is not None and claim.chance < look.design.futility:
        return "futile", f"{stopped}: the chance to decide {look.until} with all seeds is {100 * claim.chance:.0f} %"
    return "open", f"{look.place}, {look.seeds} of at most {look.most} seeds: {look.until} is not decided"
