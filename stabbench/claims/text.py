"""The verdict in words: a line per claim for the terminal, and the sentence that heads terminal and report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.claims.claim import Claim
from stabbench.claims.metrics import metric_named
from stabbench.claims.wording import contrast_text, effect_text, interval_text, label, p_text, units


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
    parts.append(f"n = {found.n_used}/{found.n_planned} {units(found)}")
    if found.verdict in ("not comparable", "incomplete"):
        parts.append(found.reason.split(";")[0])
    details = ", ".join(part for part in parts if part)
    return f"{found.verdict}: {label(found)}, {contrast_text(found)}: {details}"


def sentence(verdict: Mapping[str, Any]) -> str:
    """Return the sentence of a verdict document: `summary` of its primary claims; of an audit, `audit_summary`."""
    claims = [Claim.from_dict(claim) for claim in verdict["claims"]]
    if "audit" in verdict:
        return audit_summary(claims, verdict["audit"])
    return summary(claims, verdict["failed_runs"])


def audit_summary(claims: Sequence[Claim], audit: Mapping[str, Any]) -> str:
    """Return what an audit says of its checkpoints: each in a clause, then the primary claims, and what they are about.

    Args:
        claims: all claims; only primary ones are told.
        audit: the ``audit`` part of the verdict.
    """
    told = [_checkpoint(name, checkpoint, audit["found"]) for name, checkpoint in audit["checkpoints"].items()]
    pairs = [claim for claim in claims if claim.primary]
    if not pairs:
        return " ".join(told) or "No checkpoint could be read."
    clauses = "; ".join(_clause(claim, {}) for claim in pairs)
    scope = "This is about these two checkpoints on these texts: one training each says nothing about the training."
    return f"{' '.join(told)} Checkpoint {contrast_text(pairs[0])}: {clauses}. {scope}"


def _checkpoint(name: str, checkpoint: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> str:
    if checkpoint["collapsed"]:
        return f"Checkpoint {name} has collapsed: {checkpoint['collapsed']}; its robustness says nothing."
    accuracy, noisy = _found(found, name, "accuracy"), _found(found, name, "noise.accuracy")
    attacked = _found(found, name, "attack.accuracy_under_attack")
    parts = [f"{what} {value:.3f} (n = {n})" for value, n, what in (*accuracy, *noisy)]
    if attacked:
        value, n, what = min(attacked)
        parts.append(f"{value:.3f} under the worst of {len(attacked)} attacks ({what.rpartition(': ')[2]}, n = {n})")
    return f"Checkpoint {name}: {', '.join(parts) or 'nothing was measured'}."


def _found(found: Sequence[Mapping[str, Any]], name: str, metric: str) -> list[tuple[float, int, str]]:
    """Return (value, n, what it is) of every line of a metric that a checkpoint has a value on."""
    mine = [(entry["values"].get(name), entry["what"]) for entry in found if entry["metric"] == metric]
    return [(float(v["value"]), v["n_used"], what) for v, what in mine if v is not None and v["value"] is not None]


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
