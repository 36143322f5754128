"""A gate rule and the outcome of a gate in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.claims.metrics import metric_named

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
        "known": "known issues", "pass": "passed",
    }  # fmt: skip
    counted = Counter(entry["outcome"] for entry in items)
    return ", ".join(f"{counted[outcome]} {word}" for outcome, word in words.items() if counted[outcome])
