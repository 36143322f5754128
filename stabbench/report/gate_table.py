"""The gate as printed: each rule, its outcome as glyph and word, and why; known issues stay in the list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stabbench.claims.gate_words import rule_text
from stabbench.report.data import GateRow
from stabbench.report.visible import visible

GLYPHS = {"pass": "✓", "fail": "✗", "undecided": "?", "not comparable": "⊘", "incomplete": "…", "known": "!"}
REASON = 600


def gate_rows(verdict: Mapping[str, Any]) -> list[GateRow]:
    """Return the rules of a verdict as rows, in the order of the verdict."""
    return [
        GateRow(
            rule=visible(rule_text(entry["rule"])),
            glyph=GLYPHS[entry["outcome"]],
            word=entry["outcome"],
            reason=visible(entry["reason"], REASON),
            known=visible(str(entry["rule"].get("known", ""))),
        )
        for entry in verdict["gate"]
    ]
