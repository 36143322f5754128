"""The outcome of a gate rule in words: what was found, its one-sided bound, and the limit it was held against."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.claims.evidence import Evidence
from stabbench.claims.gate_bound import ALPHA, Judgement
from stabbench.claims.metrics import Metric, metric_named
from stabbench.claims.wording import effect_text, value_text


def reason_text(
    metric: Metric,
    evidence: Evidence,
    judgement: Judgement | None,
    limit: float,
    outcome: str,
    why: str,
    *,
    absolute: bool,
) -> str:
    """Return the numbers of a rule and why it came to `outcome`, in one line.

    Args:
        metric: how numbers are written.
        evidence: estimate, n and notes.
        judgement: the one-sided bounds; None where there are none.
        limit: on the metric's scale.
        outcome: what the rule came to.
        why: what stands where no number decides, such as what is missing.
        absolute: whether values are shown, and not differences.
    """

    def shown(number: float | None) -> str:
        if not absolute:
            return effect_text(number, metric)
        natural = number if number is None or metric.scale == "linear" else math.exp(min(number, 700.0))
        return value_text(natural, metric)

    counted = f"n = {evidence.n_used}/{evidence.n_planned} {'seeds' if evidence.by_seed else 'processes'}"
    notes = [counted, *(note for note in evidence.notes if note.startswith(("unmatched", "the same")))]
    if judgement is None or outcome in ("not comparable", "incomplete"):
        return "; ".join([why, *notes])
    level = f"one-sided {100 * (1 - ALPHA):.0f} %"
    found, safe, other = shown(evidence.effect), shown(judgement.safe), shown(judgement.other)
    if outcome == "pass":
        text = f"{found}, at worst {safe} ({level}), allowed {shown(limit)}"
    elif outcome == "fail":
        text = f"{found}, at best {other} ({level}): beyond the allowed {shown(limit)}"
    else:
        low, high = (shown(end) for end in sorted((judgement.safe, judgement.other)))
        text = f"{found}, the {level} bounds {low} and {high} lie on both sides of the allowed {shown(limit)}"
        text += _settles(metric, judgement, limit, evidence, absolute)
    return "; ".join([text, *([why] if why else []), *notes])


TESTS = {
    "not_worse_by": "not worse by",
    "max_increase": "no increase beyond",
    "at_most": "at most",
    "at_least": "at least",
}


def rule_text(rule: Mapping[str, Any]) -> str:
    """Return a rule for a reader: ``accuracy under attack (deepwordbug) not worse by 0.05 (int8-dynamic)``.

    Args:
        rule: as written in the suite, or in the verdict.
    """
    test = next(name for name in TESTS if name in rule)
    at = rule.get("at", {})
    place = ", ".join(at[key] if isinstance(at[key], str) else f"{key} {at[key]}" for key in sorted(at))
    groups = ", ".join(str(rule[key]) for key in ("candidate", "compression") if key in rule)
    subject = metric_named(rule["claim"]).label + (f" ({place})" if place else "")
    return f"{subject} {TESTS[test]} {rule[test]:g}" + (f" ({groups})" if groups else "")


def gate_sentence(items: Sequence[Mapping[str, Any]]) -> str:
    """Return how many rules came to what: ``1 failed, 2 passed``; empty without rules."""
    words = {
        "fail": "failed", "not comparable": "not comparable", "incomplete": "incomplete", "undecided": "undecided",
        "known": "known issue", "pass": "passed",
    }  # fmt: skip
    counted = Counter(entry["outcome"] for entry in items)
    if counted["known"] > 1:
        words["known"] = "known issues"
    return ", ".join(f"{counted[outcome]} {word}" for outcome, word in words.items() if counted[outcome])


def _settles(metric: Metric, judgement: Judgement, limit: float, evidence: Evidence, absolute: bool) -> str:
    """Say how many seeds a rate of failed runs needs: few runs, even without a failure, exclude little.

    Without any failure Newcombe's upper bound of the difference is z²/(n + z²), so it is within m from
    n = z²·(1 − m)/m on; Clopper-Pearson's of one rate is 1 − α^(1/n), within m from n = ln α / ln(1 − m) on.
    """
    if metric.kind != "failure" or evidence.effect != 0 or not 0 < limit < 1 or judgement.safe <= limit:
        return ""
    from scipy.special import ndtri

    z = float(ndtri(1 - ALPHA))
    needed = math.log(ALPHA) / math.log1p(-limit) if absolute else z * z * (1 - limit) / limit
    return f"; with no failed run at all it takes {math.ceil(needed)} seeds"
