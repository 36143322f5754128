"""Is the candidate not worse by more than a margin? The one-sided test that an inconclusive claim can still pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stabbench.claims.build import evidence_of
from stabbench.claims.claim import Claim
from stabbench.claims.evidence import Contrast
from stabbench.claims.metrics import metric_named
from stabbench.claims.table import Table
from stabbench.claims.wording import effect_text
from stabbench.records import Row
from stabbench.suite.schema import Suite

LEVEL = 0.90
"""Two-sided level whose two ends are the one-sided 95 % bounds."""


@dataclass(frozen=True)
class NonInferiority:
    """What the test says.

    Attributes:
        holds: whether the bound on the worse side respects the margin.
        bound: that one-sided 95 % bound of the effect, on the claim's scale; None where there is none.
        reason: the bound and the margin, or why there is no bound, for a reader.
    """

    holds: bool
    bound: float | None
    reason: str


def not_worse(claim: Claim, rows: Sequence[Row], suite: Suite, by: float) -> NonInferiority:
    """Test that the candidate is not worse than the reference by more than `by` (non-inferiority, one-sided 95 %).

    With effect d and a metric of which more is better it holds where the lower end of the 90 % interval of d is ≥ −by;
    where less is better, where its upper end is ≤ by. The interval is recomputed from the measurements by the claim's
    own method (paired t over seeds, Newcombe for failed runs, and so on), not at the Holm level at which the claim was
    decided: a declared margin is one hypothesis of its own. On a log scale `by` is a ratio minus one: 0.05 is 5 %.
    A bound that equals the margin respects it. Without an interval (one seed, crossed seeds, equal differences), it
    does not hold: no difference found is not the same as none. Source: Piaggio et al. (2012), JAMA 308:2594.

    Args:
        claim: of the run that `rows` and `suite` are of.
        rows: all measurements, derived ones included.
        suite: the run's suite.
        by: largest loss that is allowed, ≥ 0, in the metric's own unit (share: 0.02 is 2 points).

    Raises:
        ValueError: `by` is negative or not finite, or neither direction of the metric is better.
    """
    if not (math.isfinite(by) and by >= 0):
        raise ValueError(f"by must be a number from 0; found {by}")
    metric = metric_named(claim.metric)
    if metric.better == "neither":
        raise ValueError(f"{claim.metric}: neither direction is better, so nothing can be worse")
    if claim.verdict in ("not comparable", "incomplete"):
        return NonInferiority(False, None, f"{claim.verdict}: {claim.reason}")
    contrast = Contrast(metric, claim.at, claim.reference, claim.candidate, claim.primary, claim.margin)
    evidence = evidence_of(contrast, Table(rows, suite))
    interval = evidence.interval(LEVEL)
    if evidence.undecidable or interval is None:
        return NonInferiority(False, None, evidence.undecidable or "there is no interval")
    allowed = math.log1p(by) if metric.scale == "log" else by
    bound = interval[0] if metric.better == "higher" else interval[1]
    holds = bound >= -allowed if metric.better == "higher" else bound <= allowed
    limit = effect_text(-allowed if metric.better == "higher" else allowed, metric)
    reason = f"at worst {effect_text(bound, metric)} (one-sided 95 %), allowed {limit}"
    return NonInferiority(holds, bound, reason)
