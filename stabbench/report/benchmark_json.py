"""The claims as a list for github-action-benchmark (``tool: customSmallerIsBetter``), to be drawn over commits.

Each entry is the candidate's value of one claim, turned so that smaller is better: a share of which more is better is
written as what it lacks to 1, a positive quantity of which more is better as its reciprocal; the unit says so. A metric
of which neither direction is better, and a value that is unknown or not finite, has no entry. The interval belongs to
the difference from the reference, which stands beside the value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

from stabbench.claims.claim import Claim
from stabbench.claims.metrics import Metric, metric_named
from stabbench.claims.wording import contrast_text, effect_text, interval_text, label
from stabbench.report.visible import visible

LONGEST = 300


def benchmark_entries(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the entries ``{"name", "unit", "value", "range", "extra"}``; the claim's id is the name, primary first."""
    entries = []
    for claim in map(Claim.from_dict, verdict["claims"]):
        metric = metric_named(claim.metric)
        turned = _turned(claim.candidate_value, metric)
        if turned is None:
            continue
        value, unit = turned
        difference = [effect_text(claim.effect, metric), interval_text(claim.interval, claim.level, metric)]
        standing = "primary" if claim.primary else "secondary, unadjusted"
        extra = f"{label(claim)}, {contrast_text(claim)}: {claim.verdict} ({standing})"
        entries.append(
            {
                "name": visible(claim.id, LONGEST),
                "unit": unit,
                "value": value,
                "range": f"difference {', '.join(part for part in difference if part)}",
                "extra": visible(extra, LONGEST),
            }
        )
    return entries


def _turned(value: float | None, metric: Metric) -> tuple[float, str] | None:
    """Return the value so that smaller is better, with its unit; None where that cannot be."""
    if value is None or not math.isfinite(value) or metric.better == "neither":
        return None
    unit = "share of runs" if metric.kind == "failure" else "share" if metric.shown == "points" else metric.name
    if metric.better == "lower":
        return value, unit
    if (metric.scale == "linear" and metric.shown != "plain") or metric.name in ("mcc", "spearman"):
        return 1 - value, f"1 − {unit}"
    # Below it 1/value is infinite.
    return (1 / value, f"1 / {unit}") if value >= sys.float_info.min else None
