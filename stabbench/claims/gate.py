"""Gate rules decided: each is its own one-sided test, and its outcome decides an exit code.

Scales: for `not_worse_by` and `max_increase` effect, interval and bound are on the scale of the claim's effect (the log
of a ratio where the metric's scale is ``log``); for `at_most` and `at_least` they are the value itself.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from stabbench.claims.build import evidence_of
from stabbench.claims.claim import Group, claim_id
from stabbench.claims.contrasts import primary_entries, resolved
from stabbench.claims.evidence import Contrast, Evidence
from stabbench.claims.gate_bound import ALPHA, Judgement, Side, judge
from stabbench.claims.gate_value import value_evidence
from stabbench.claims.gate_words import reason_text
from stabbench.claims.looks import Look, as_run, look_of
from stabbench.claims.metrics import Metric, metric_named
from stabbench.claims.table import Table
from stabbench.records import DENSE, Row, finite
from stabbench.suite.schema import GateRule, PrimaryClaim, Suite

Outcome = Literal["pass", "fail", "undecided", "not comparable", "incomplete", "known"]
Inconclusive = Literal["fail", "warn", "pass"]
PRECEDENCE = (2, 70, 130, 4, 1, 3, 5)
"""Which exit code is reported where several hold: a regression shown on finished cells outranks incompleteness."""
CODES: Mapping[str, int] = {"not comparable": 4, "fail": 1, "incomplete": 3}
EXACT = ("compression.size",)
"""Metrics that are the same for every seed by construction, so that equal values need no interval."""


@dataclass(frozen=True)
class GateItem:
    """One rule on one group, decided: an entry of ``gate`` in ``verdict.json``.

    Attributes:
        rule: the rule as written in the suite.
        claim: id of the claim it is about; None where the group is judged by itself.
        outcome: what it came to; ``known`` where it did not pass and the rule names a known issue.
        reason: groups, numbers and limit, for a reader.
        effect: what was estimated.
        interval: the one-sided 95 % bound that must respect `bound`: (low, None) or (None, high).
        bound: the limit.
        p: one-sided p-value of "the limit is violated".
    """

    rule: Mapping[str, Any]
    claim: str | None
    outcome: Outcome
    reason: str
    effect: float | None
    interval: tuple[float | None, float | None] | None
    bound: float
    p: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return the item fit for strict JSON."""
        return {field.name: finite(getattr(self, field.name)) for field in dataclasses.fields(self)}


def default_rules(suite: Suite) -> list[GateRule]:
    """Return what a suite without rules is asked: each primary claim not worse by its margin.

    A metric without a better direction cannot be worse and is left out; one without a margin allows no loss at all.
    """
    rules = []
    for entry in primary_entries(suite):
        metric = metric_named(entry.metric)
        if metric.better != "neither":
            margin = suite.compare.margins.get(metric.name, metric.margin) or 0.0
            rules.append(
                GateRule(
                    claim=entry.metric,
                    at=entry.at,
                    candidate=entry.candidate,
                    compression=entry.compression,
                    not_worse_by=margin,
                )
            )
    return rules


def evaluate(
    rules: Iterable[GateRule], rows: Sequence[Row], suite: Suite, unmatched: Mapping[str, str]
) -> list[GateItem]:
    """Return the rules decided within one run, one item for each rule and candidate.

    A rule that names the reference itself asks nothing within a run and gives no item: it is meant for a comparison
    with another run.

    Args:
        rules: what must hold.
        rows: all measurements of the run, derived ones included.
        suite: the run's suite.
        unmatched: variant → why its trials are not matched with the reference's.
    """
    table = Table(rows, suite)
    look = look_of(as_run(suite, rows))
    items = []
    for rule in rules:
        for variant in _candidates(rule, suite):
            groups = _groups(rule, variant, suite.compare.reference)
            if rule.test in ("at_most", "at_least"):
                items.append(value_item(rule, table, suite, groups))
            elif groups[0] != groups[1]:
                contrast = resolved(table, suite, entry_of(rule), groups)
                evidence = evidence_of(contrast, table)
                if variant in unmatched and variant != groups[0][0]:
                    blocked: Any = ("not comparable", f"unmatched trials: {unmatched[variant]}")
                    evidence = replace(evidence, blocked=blocked)
                found = item(rule, contrast, _at_look(evidence, look), contrast.id, _pair_text(groups))
                items.append(found if look is None else replace(found, p=None))
    return items


def _at_look(evidence: Evidence, look: Look | None) -> Evidence:
    """Widen the interval where a claim chose the number of seeds, so that its bounds keep their 95 % over the looks.

    Only the level that the bounds are read at is widened; a p-value, which needs every level, is then not given.
    """
    if look is None:
        return evidence

    def widened(level: float) -> tuple[float, float] | None:
        return evidence.interval(look.equivalence_level if math.isclose(level, 1 - 2 * ALPHA) else level)

    return replace(evidence, interval=widened)


def value_item(rule: GateRule, table: Table, suite: Suite, groups: tuple[Group, Group]) -> GateItem:
    """Return an `at_most` or `at_least` rule decided about the second group; the first is that of its claim."""
    reference, candidate = groups
    ratio = metric_named(rule.claim).kind == "latency"
    contrast = resolved(table, suite, entry_of(rule), groups if ratio else (candidate, candidate))
    claim = None if candidate == reference else claim_id(contrast.metric.name, contrast.at, candidate, reference)
    return item(rule, contrast, value_evidence(contrast, table), claim, _group_text(candidate))


def entry_of(rule: GateRule) -> PrimaryClaim:
    """Return the metric and coordinate that a rule is about."""
    return PrimaryClaim(metric=rule.claim, at=rule.at, compression=rule.compression)


def item(rule: GateRule, contrast: Contrast, evidence: Evidence, claim: str | None, who: str) -> GateItem:
    """Return one rule decided by the evidence about one contrast.

    Args:
        rule: what must hold.
        contrast: metric and groups.
        evidence: what the measurements say, on the metric's scale.
        claim: id of the claim.
        who: how the groups are called.
    """
    metric = contrast.metric
    evidence = _exact(evidence, metric)
    test = _limit(rule, metric)
    if test is None:
        reason = f"{who}: neither direction of {metric.label} is better; ask max_increase, at_most or at_least"
        return GateItem(rule.as_written(), claim, "undecided", reason, evidence.effect, None, rule.limit, None)
    side, limit = test
    judgement = judge(evidence.interval, side, limit)
    outcome, why = _outcome(evidence, judgement)
    absolute = rule.test in ("at_most", "at_least")
    reason = f"{who}: {reason_text(metric, evidence, judgement, limit, outcome, why, absolute=absolute)}"
    if rule.known:
        outcome, reason = _as_known(outcome, reason, rule.known)
    natural = absolute and metric.scale == "log"
    shown = judgement is not None and not (evidence.blocked and evidence.blocked[0] == "not comparable")
    bound = _natural(judgement.safe, natural) if judgement is not None and shown else None
    return GateItem(
        rule=rule.as_written(),
        claim=claim,
        outcome=outcome,
        reason=reason,
        effect=None if evidence.effect is None else _natural(evidence.effect, natural),
        interval=None if bound is None else (bound, None) if side == "lower" else (None, bound),
        bound=rule.limit if absolute else limit,
        p=judgement.p if judgement is not None and shown else None,
    )


def exit_code(run_code: int, outcomes: Iterable[str], inconclusive: Inconclusive) -> int:
    """Return the code of a run or gate: the first by `PRECEDENCE` of all that hold, 0 where none does.

    Args:
        run_code: what the run's own state gives: 0, 3 incomplete, 130 interrupted.
        outcomes: of the gate's items.
        inconclusive: ``fail`` makes undecided rules count as 5.
    """
    codes = {run_code, *(CODES.get(outcome, 0) for outcome in outcomes)}
    if inconclusive == "fail" and "undecided" in set(outcomes):
        codes.add(5)
    return next((code for code in PRECEDENCE if code in codes), 0)


def _outcome(evidence: Evidence, judgement: Judgement | None) -> tuple[Outcome, str]:
    """Return the outcome, and why where no number says it."""
    if evidence.blocked and evidence.blocked[0] == "not comparable":
        return "not comparable", evidence.blocked[1]
    decided = None if judgement is None or evidence.undecidable else judgement.outcome
    if evidence.blocked:
        # Worse is shown on what is there: no missing cell will mend that. A pass needs all of it.
        return ("fail", evidence.blocked[1]) if decided == "fail" else ("incomplete", evidence.blocked[1])
    if decided is None:
        return "undecided", evidence.undecidable or "there is no interval"
    return decided, ""


def _exact(evidence: Evidence, metric: Metric) -> Evidence:
    """Return the evidence; of an exact quantity that all seeds agree on, the quantity itself is its interval."""
    effect = evidence.effect
    if metric.name not in EXACT or effect is None or evidence.interval(1 - 2 * ALPHA) is not None:
        return evidence
    return replace(evidence, interval=lambda level: (effect, effect), undecidable="")


def _limit(rule: GateRule, metric: Metric) -> tuple[Side, float] | None:
    """Return the bad side's limit on the metric's scale; None where the metric has no worse direction."""
    log = metric.scale == "log"
    if rule.test in ("at_most", "at_least"):
        value = rule.limit if not log else math.log(rule.limit) if rule.limit > 0 else -math.inf
        return ("upper" if rule.test == "at_most" else "lower"), value
    distance = math.log1p(rule.limit) if log else rule.limit
    if rule.test == "max_increase" or metric.better == "lower":
        return "upper", distance
    return ("lower", -distance) if metric.better == "higher" else None


def _natural(value: float, log: bool) -> float:
    return math.exp(min(value, 700.0)) if log else value


def _as_known(outcome: Outcome, reason: str, known: str) -> tuple[Outcome, str]:
    if outcome == "pass":
        return "pass", f"{reason}; listed as a known issue ({known}), which it is no more: remove `known`"
    return "known", f"known issue: {known}; without it: {outcome}; {reason}"


def _candidates(rule: GateRule, suite: Suite) -> list[str]:
    if rule.candidate is not None:
        return [rule.candidate]
    return [variant for variant in suite.variants if variant != suite.compare.reference] or list(suite.variants)


def _groups(rule: GateRule, variant: str, reference: str) -> tuple[Group, Group]:
    """The reference named as its own candidate asks what compression does to it."""
    return (reference, DENSE if variant == reference else rule.compression), (variant, rule.compression)


def _group_text(group: Group) -> str:
    return group[0] + (f" ({group[1]})" if group[1] != DENSE else "")


def _pair_text(groups: tuple[Group, Group]) -> str:
    reference, candidate = groups
    return f"{_group_text(candidate)} vs {_group_text(reference)}"
