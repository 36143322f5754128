"""From measurements to claims: evidence by kind of metric, Holm over the primary claims, one of six verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from stabbench.claims import examples, failure, latency, level, spread
from stabbench.claims.claim import Claim, Verdict
from stabbench.claims.contrasts import contrasts
from stabbench.claims.evidence import Contrast, Evidence, no_interval
from stabbench.claims.looks import Look, as_run, look_of, primary_note, secondary_note
from stabbench.claims.metrics import Kind
from stabbench.claims.table import Outcomes, Predictions, SeedOutcomes, Table
from stabbench.claims.wording import effect_text, p_text, percent_of
from stabbench.records import Row
from stabbench.statistics.multiplicity import holm_levels
from stabbench.statistics.result import excludes_zero, within
from stabbench.suite.schema import Suite

EQUIVALENCE_LEVEL = 0.90
"""Level of the unadjusted interval that must lie inside the margin: two one-sided tests at 5 %."""
_EVIDENCE: Mapping[Kind, Callable[[Contrast, Table], Evidence]] = {
    "level": level.evidence,
    "failure": failure.evidence,
    "spread": spread.evidence,
    "latency": latency.evidence,
}


def build_claims(
    rows: Sequence[Row],
    suite: Suite,
    predictions: Predictions | None = None,
    outcomes: Outcomes | None = None,
    of_seeds: SeedOutcomes | None = None,
) -> list[Claim]:
    """Return every claim of a run, primary ones first, in declared order.

    Args:
        rows: all measurements, those of `derive` included.
        suite: says which variant is the reference, which claims are primary, the margins and the level.
        predictions: answers per text: with them a claim about accuracy also tells its interval over new texts.
        outcomes: of finished checkpoints, what each got on each text: what their claims rest on.
        of_seeds: what each seed got on each text under noise and attack: with it these claims also tell their interval
            over new texts.
    """
    suite = as_run(suite, rows)
    table = Table(rows, suite, predictions, outcomes, of_seeds)
    asked = [contrast for contrast in contrasts(table, suite) if contrast.primary or _answerable(contrast, table)]
    return decide(asked, [evidence_of(contrast, table) for contrast in asked], suite.compare.level, look_of(suite))


def decide(asked: Sequence[Contrast], found: Sequence[Evidence], level: float, look: Look | None = None) -> list[Claim]:
    """Return the claims of contrasts with their evidence: Holm over the primary ones, `level` for the others.

    With adaptive seeds the primary ones have the levels of the `look` at which the run stopped.
    """
    primary = [i for i, contrast in enumerate(asked) if contrast.primary]
    # A claim that is blocked or cannot be decided still counts among the m claims.
    tested = [None if found[i].blocked or found[i].undecidable else found[i].p for i in primary]
    if look is None:
        adjusted = dict(zip(primary, holm_levels(tested, 1 - level), strict=True))
        return [
            _claim(contrast, found[i], 1 - adjusted[i] if i in adjusted else level) for i, contrast in enumerate(asked)
        ]
    levels = dict(zip(primary, look.levels(tested, 1 - level), strict=True))
    return [
        _at_look(look, contrast, found[i], *levels[i])
        if i in levels
        else _secondary_at_look(look, _claim(contrast, found[i], level))
        for i, contrast in enumerate(asked)
    ]


def _at_look(look: Look, contrast: Contrast, evidence: Evidence, share: float, level: float) -> Claim:
    """Return a primary claim at the level of this look, with what its reader must know of the looks."""
    claim = _claim(contrast, evidence, 1 - level, look.equivalence_level)
    if claim.metric == look.until and claim.verdict == "inconclusive" and not look.is_last:
        claim = replace(claim, chance=look.chance(claim, share))
    return _with_note(claim, primary_note(look, claim, share))


def _secondary_at_look(look: Look, claim: Claim) -> Claim:
    return claim if claim.n_seeds is None else _with_note(claim, secondary_note(look))


def _with_note(claim: Claim, note: str) -> Claim:
    return replace(claim, reason=f"{claim.reason}; {note}", method_notes=(*claim.method_notes, note))


def _answerable(contrast: Contrast, table: Table) -> bool:
    """Whether a secondary claim can say anything: of checkpoints, what is measured text by text or by processes."""
    return not table.by_text or contrast.metric.kind == "latency" or examples.answerable(contrast, table)


def evidence_of(contrast: Contrast, table: Table) -> Evidence:
    """Return what the measurements say about a contrast, by the kind of its metric, or text by text."""
    if contrast.unresolved:
        blocked: tuple[Verdict, str] = ("not comparable", contrast.unresolved)
        return Evidence(None, None, None, None, no_interval, "", 0, len(table.seeds), blocked=blocked)
    if table.by_text and contrast.metric.kind != "latency":
        return examples.evidence(contrast, table)
    return _EVIDENCE[contrast.metric.kind](contrast, table)


def _claim(contrast: Contrast, evidence: Evidence, confidence: float, equivalence: float = EQUIVALENCE_LEVEL) -> Claim:
    interval = evidence.interval(confidence)
    verdict, reason = _verdict(contrast, evidence, confidence, equivalence)
    return Claim(
        id=contrast.id,
        metric=contrast.metric.name,
        at=dict(contrast.at),
        primary=contrast.primary,
        reference=contrast.reference,
        candidate=contrast.candidate,
        reference_value=evidence.reference_value,
        candidate_value=evidence.candidate_value,
        effect=evidence.effect,
        interval=interval,
        level=confidence,
        margin=contrast.margin,
        p=evidence.p,
        test=evidence.test,
        verdict=verdict,
        reason="; ".join([reason, *evidence.notes]),
        n_seeds=evidence.n_used if evidence.by_seed else None,
        n_used=evidence.n_used,
        n_planned=evidence.n_planned,
        method_notes=evidence.notes,
    )


def _verdict(contrast: Contrast, evidence: Evidence, confidence: float, equivalence: float) -> tuple[Verdict, str]:
    """Return the verdict and why, in this order: blocked, undecidable, equivalent, decided, inconclusive."""
    if evidence.blocked:
        return evidence.blocked
    interval = evidence.interval(confidence)
    if evidence.undecidable or interval is None:
        return "inconclusive", evidence.undecidable or "there is no interval"
    if within(evidence.interval(equivalence), contrast.margin):
        return "equivalent", f"the {percent_of(equivalence)} % interval lies inside ±{_margin_text(contrast)}"
    return _decided(contrast, evidence, interval, confidence, equivalence)


def _decided(
    contrast: Contrast, evidence: Evidence, interval: tuple[float, float], confidence: float, equivalence: float
) -> tuple[Verdict, str]:
    """Decide by p below its level and an interval without 0: both, or not at all."""
    span = f"the {percent_of(confidence)} % interval"
    below = evidence.p is not None and evidence.p < 1 - confidence
    outside = excludes_zero(interval)
    if below and outside:
        better = contrast.metric.better
        if better == "neither":
            return "inconclusive", f"{span} excludes 0, but no direction of this metric is better"
        good = (interval[0] > 0) == (better == "higher")
        return "improved" if good else "regressed", f"{span} excludes 0 and {p_text(evidence.p)}"
    if below != outside:
        return "inconclusive", f"test and interval disagree: {p_text(evidence.p)}, and {span} " + (
            "excludes 0" if outside else "holds 0"
        )
    return "inconclusive", f"{span} holds 0" + (
        ""
        if contrast.margin is None
        else f" and the {percent_of(equivalence)} % interval reaches beyond ±{_margin_text(contrast)}"
    )


def _margin_text(contrast: Contrast) -> str:
    return effect_text(contrast.margin, contrast.metric, signed=False)
