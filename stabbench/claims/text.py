"""The verdict in words: a line per claim for the terminal, and the sentence that heads terminal and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.claims.claim import Claim
from stabbench.claims.metrics import metric_named
from stabbench.claims.wording import contrast_text, effect_text, interval_text, label, p_text


def claim_line(claim: Claim | Mapping[str, Any]) -> str:
    """Return one line: what, between whom, effect with interval, verdict, p, n used of n planned.

    Args:
        claim: a claim, or its form in ``verdict.json``.
    """
    found = claim if isinstance(claim, Claim) else Claim.from_dict(claim)
    metric = metric_named(found.metric)
    parts = [effect_text(found.effect, metric), interval_text(found.interval, found.level, metric)]
    if found.p is not None:
        parts.append(p_text(found.p))
    parts.append(f"n = {found.n_used}/{found.n_planned} {'processes' if found.n_seeds is None else 'seeds'}")
    if found.verdict in ("not comparable", "incomplete"):
        parts.append(found.reason.split(";")[0])
    details = ", ".join(part for part in parts if part)
    return f"{found.verdict}: {label(found)}, {contrast_text(found)}: {details}"


def sentence(verdict: Mapping[str, Any]) -> str:
    """Return the sentence of a verdict document: `summary` of its primary claims."""
    return summary([Claim.from_dict(claim) for claim in verdict["claims"]], verdict["failed_runs"])


def summary(claims: Sequence[Claim], failed_runs: Mapping[str, Sequence[int]]) -> str:
    """Return one plain sentence per pair of variants, holding every primary claim; undecided ones are said so.

    Args:
        claims: all claims; only primary ones are told.
        failed_runs: variant → (failed, finished runs).
    """
    pairs: dict[str, list[str]] = {}
    for claim in claims:
        if claim.primary:
            pairs.setdefault(contrast_text(claim), []).append(_clause(claim, failed_runs))
    if not pairs:
        counted = ", ".join(f"{variant} {k}/{n}" for variant, (k, n) in failed_runs.items())
        return f"Nothing is compared: one variant only. Failed runs: {counted or 'none counted'}."
    return " ".join(f"{names}: {'; '.join(clauses)}." for names, clauses in pairs.items())


def _clause(claim: Claim, failed_runs: Mapping[str, Sequence[int]]) -> str:
    if claim.metric == "train.failed" and claim.candidate[0] in failed_runs and claim.reference[0] in failed_runs:
        return _failures(claim, failed_runs)
    if claim.verdict in ("not comparable", "incomplete"):
        return f"{label(claim)} {claim.verdict} ({claim.reason.split(';')[0]})"
    metric = metric_named(claim.metric)
    effect = effect_text(claim.effect, metric)
    if claim.verdict == "equivalent":
        # The reason names the level of the interval, which is 90 % but where the seeds were looked at several times.
        inside = claim.reason.split(";")[0].removeprefix("the ").replace("interval lies", "CI")
        return f"{label(claim)} equivalent ({effect}, {inside})"
    details = [effect, interval_text(claim.interval, claim.level, metric)]
    if claim.verdict == "inconclusive":
        details.append("" if claim.p is None else p_text(claim.p))
        details.append(claim.reason.split(";")[0] if claim.interval is None else "")
    return f"{label(claim)} {claim.verdict} ({', '.join(part for part in details if part)})"


def _failures(claim: Claim, failed_runs: Mapping[str, Sequence[int]]) -> str:
    (k, n), (k0, n0) = failed_runs[claim.candidate[0]], failed_runs[claim.reference[0]]
    shares = (k / n if n else 0.0, k0 / n0 if n0 else 0.0)
    more = "as many" if shares[0] == shares[1] else "fewer" if shares[0] < shares[1] else "more"
    tested = claim.reason.split(";")[0] if claim.verdict == "incomplete" else p_text(claim.p)
    return f"{more} failed runs: {k}/{n} vs {k0}/{n0}, {claim.verdict} ({tested})"
