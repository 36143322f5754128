"""Claims as printed: label, values, paired difference with its interval as a small bar, verdict as glyph and word."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from stabbench.claims.claim import Claim
from stabbench.claims.metrics import metric_named
from stabbench.claims.wording import contrast_text, effect_text, group_text, interval_text, label, p_text, units
from stabbench.report.data import Cell, ClaimRow
from stabbench.report.visible import visible

GLYPHS = {
    "improved": "✓",
    "regressed": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "not comparable": "⊘",
    "incomplete": "…",
}
REASON = 1000
"""Characters of a reason that are shown."""
ORDER = ("regressed", "inconclusive", "improved", "equivalent", "not comparable", "incomplete")


def claim_rows(verdict: Mapping[str, Any]) -> tuple[list[ClaimRow], list[ClaimRow]]:
    """Return (primary claims in declared order, secondary claims sorted by verdict)."""
    claims = [Claim.from_dict(content) for content in verdict["claims"]]
    primary = [_row(claim) for claim in claims if claim.primary]
    rest = sorted((claim for claim in claims if not claim.primary), key=lambda claim: ORDER.index(claim.verdict))
    return primary, [_row(claim) for claim in rest]


def _row(claim: Claim) -> ClaimRow:
    metric = metric_named(claim.metric)
    return ClaimRow(
        id="claim-" + hashlib.sha256(claim.id.encode("utf-8", "surrogatepass")).hexdigest()[:10],
        label=visible(label(claim)),
        contrast=visible(contrast_text(claim)),
        reference=Cell(group_text(claim, claim.reference_value), claim.reference_value),
        candidate=Cell(group_text(claim, claim.candidate_value), claim.candidate_value),
        effect=Cell(effect_text(claim.effect, metric), claim.effect),
        interval=interval_text(claim.interval, claim.level, metric),
        bar=_bar(claim),
        p="" if claim.p is None else p_text(claim.p),
        n=f"{claim.n_used}/{claim.n_planned} {units(claim)}",
        glyph=GLYPHS[claim.verdict],
        word=claim.verdict,
        reason=visible(claim.reason, REASON),
        primary=claim.primary,
    )


def _bar(claim: Claim) -> dict[str, float] | None:
    """Return positions in percent of the bar's width; the bar is centred on 0 and holds interval and margin."""
    if claim.interval is None or claim.effect is None or not all(map(math.isfinite, claim.interval)):
        return None
    margin = claim.margin or 0.0
    reach = 1.1 * max(abs(claim.interval[0]), abs(claim.interval[1]), margin, 1e-12)

    def at(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    low, high = (at(end) for end in claim.interval)
    return {
        "left": low,
        "width": round(max(high - low, 0.8), 2),
        "effect": at(claim.effect),
        "margin_left": at(-margin),
        "margin_width": round(at(margin) - at(-margin), 2),
    }
