"""What an undecided claim could have seen: the smallest difference that its pairs show with 80 % power."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stabbench.claims.claim import Claim
from stabbench.claims.metrics import metric_named
from stabbench.claims.wording import contrast_text, effect_text, label
from stabbench.statistics.power import detectable_effect


def undecided(verdict: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every inconclusive primary claim that rests on a paired t interval."""
    claims = [Claim.from_dict(content) for content in verdict["claims"]]
    return [
        text
        for claim in claims
        if claim.primary and claim.n_seeds is not None and claim.verdict == "inconclusive" and (text := _told(claim))
    ]


def _told(claim: Claim) -> str:
    sd = standard_deviation(claim)
    metric = metric_named(claim.metric)
    if metric.kind != "level" or sd is None:
        return ""
    size = detectable_effect(claim.n_used, alpha=1 - claim.level, sd=sd)
    return (
        f"{label(claim)}, {contrast_text(claim)}: with {claim.n_used} pairs that spread as these do, a true difference "
        f"would have to be {effect_text(size, metric, signed=False)} to be seen in four runs of this suite out of five."
    )


def standard_deviation(claim: Claim) -> float | None:
    """Return the SD of the paired differences from the t interval: s = half width · √n / t₍(1+level)/2; n−1₎."""
    if claim.interval is None or claim.n_used < 2:
        return None
    from scipy.special import stdtrit

    half = (claim.interval[1] - claim.interval[0]) / 2
    sd = half * math.sqrt(claim.n_used) / float(stdtrit(claim.n_used - 1, (1 + claim.level) / 2))
    return sd if math.isfinite(sd) and sd > 0 else None
