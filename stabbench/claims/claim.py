"""The claim: one contrast between two groups on one metric, with its verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stabbench.records import Coordinate, finite

Verdict = Literal["improved", "regressed", "equivalent", "inconclusive", "not comparable", "incomplete"]
Group = tuple[str, str]
"""(variant, compression)."""


@dataclass(frozen=True)
class Claim:
    """One contrast, as in ``verdict.json``.

    Attributes:
        id: ``metric{at}:candidate@compression:reference@compression``, stable over runs.
        metric: what is compared; see `metrics`.
        at: coordinates of the metric's value, such as ``{"recipe": "deepwordbug"}``; ``change_from`` names the
            compression from which both groups' changes are counted, and everything below is about these changes.
        primary: declared in the suite and adjusted by Holm; all others are unadjusted.
        reference: (variant, compression) that is compared against.
        candidate: (variant, compression) that is judged.
        reference_value: plain mean over all seeds of the group (failures: rate; spread: SD; latency ratio: 1).
        candidate_value: the same; latency ratio: geometric mean over processes.
        effect: candidate − reference from the pairs used; on the log scale (ln candidate/reference) where the metric's
            `scale` is ``log``. It need not equal the difference of the two values above.
        interval: interval of `effect` at `level`, on the same scale; None where there is none.
        level: coverage at which this claim was decided: Holm's for primary claims.
        margin: largest |effect| that counts as no difference, on the scale of `effect`; None: never equivalent.
        p: two-sided p-value of no effect; None where there is none.
        test: name of the test that gave `p`.
        verdict: one of six words.
        reason: why this verdict, for a reader.
        n_seeds: seed pairs the effect rests on; None where the unit is not the seed (latency: the process).
        n_used: units the effect rests on: seed pairs, or fresh processes.
        n_planned: units planned.
        reference_run: the other run, for claims across runs.
        chance: with adaptive seeds, the chance that the last look decides the claim; not part of the JSON.
        method_notes: what stands beside the test, such as the sign-flip p with its floor; not part of the JSON.
    """

    id: str
    metric: str
    at: Mapping[str, Coordinate]
    primary: bool
    reference: Group
    candidate: Group
    reference_value: float | None
    candidate_value: float | None
    effect: float | None
    interval: tuple[float, float] | None
    level: float
    margin: float | None
    p: float | None
    test: str
    verdict: Verdict
    reason: str
    n_seeds: int | None
    n_used: int
    n_planned: int
    reference_run: str | None = None
    chance: float | None = None
    method_notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the claim with the keys of DESIGN §10, fit for strict JSON."""
        content = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        del content["method_notes"], content["chance"]
        return {name: finite(value) for name, value in content.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Claim:
        """Read what `as_dict` wrote."""
        pairs = {name: tuple(content[name]) for name in ("reference", "candidate")}
        interval = None if content["interval"] is None else tuple(float(end) for end in content["interval"])
        numbers = ("reference_value", "candidate_value", "effect", "margin", "p")
        floats = {name: None if content[name] is None else float(content[name]) for name in numbers}
        return cls(**{**content, **pairs, **floats, "interval": interval})


def claim_id(metric: str, at: Mapping[str, Coordinate], candidate: Group, reference: Group) -> str:
    """Return ``metric{key=value}:candidate@compression:reference@compression``."""
    place = ",".join(f"{key}={at[key]}" for key in sorted(at))
    return f"{metric}{f'{{{place}}}' if place else ''}:{'@'.join(candidate)}:{'@'.join(reference)}"
