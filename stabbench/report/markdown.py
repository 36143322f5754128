"""The verdict as GitHub-flavoured Markdown, for a step's summary or a comment: sentence, gate, claims, report.

GitHub refuses a summary above 1,024 kB as a whole (research/experience.md §3), so rows that do not fit are left out
and the text says how many. Everything that a suite or a library brought is escaped: it can neither form markup nor
mention people or issues, nor become a link.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.claims.gate_words import gate_sentence, rule_text
from stabbench.claims.text import sentence
from stabbench.report.claims_table import claim_rows
from stabbench.report.data import ClaimRow
from stabbench.report.visible import visible

MOST_BYTES = 1_000_000
RESERVE = 3_000
"""Bytes kept for what closes the page: it is never cut."""
SHORT, LONG = 300, 600
SENTENCE = 20_000
GATE_GLYPHS = {"pass": "✓", "fail": "✗", "undecided": "?", "not comparable": "⊘", "incomplete": "…", "known": "!"}
CLAIMS_HEAD = ("claim", "reference", "candidate", "difference", "interval", "verdict", "n")
GATE_HEAD = ("rule", "outcome", "why")
# Entities where a backslash does not help: HTML, mentions, issue numbers, formulas.
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;", "$": "&#36;"}
_BACKSLASHED = "\\`*_{}[]|~!"


def summary_markdown(verdict: Mapping[str, Any], link: str | None = None, limit: int = MOST_BYTES) -> str:
    """Return the summary, at most `limit` bytes of UTF-8, cut between rows where it must be.

    Args:
        verdict: the verdict document.
        link: address at which the report can be had, such as the CI run's artifacts.
        limit: bytes; at least 5,000.
    """
    page = _Page(limit - RESERVE)
    page.add(f"## stabbench: {escaped(verdict['suite'])}", "")
    smoke = bool((verdict["environment"] or {}).get("smoke"))
    if smoke:
        page.add("**A smoke run: every stage was tried on a tiny model. This is never a verdict.**", "")
    else:
        page.add(f"**{_cut(escaped(sentence(verdict), SENTENCE), limit // 4)}**", "")
    page.add(_cells(verdict), "")
    primary, secondary = claim_rows(verdict)
    _gate(page, verdict["gate"])
    _claims(page, "Primary claims, declared before the run", primary)
    if secondary:
        opened = page.add(f"<details><summary>{len(secondary)} secondary claims, unadjusted</summary>", "")
        _claims(page, "Secondary claims", secondary)
        page.close(*(["</details>", ""] if opened else []))
    page.close(*_end(verdict, link, page.left_out))
    return page.text()


def escaped(text: str, limit: int = LONG) -> str:
    """Return hostile text as Markdown that shows it: no markup, no mention, no link, no line break."""
    shown = visible(str(text), limit)
    shown = "".join(_ENTITIES.get(char) or (f"\\{char}" if char in _BACKSLASHED else char) for char in shown)
    # Bare addresses become links by themselves; an entity inside them prevents that.
    return re.sub(r"(?i)(www)\.", r"\1&#46;", shown.replace("://", "&#58;//"))


class _Page:
    """Lines up to a number of bytes; what does not fit is counted, and what closes the page always fits."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lines: list[str] = []
        self.size = 0
        self.full = False
        self.left_out = 0

    def add(self, *lines: str) -> bool:
        """Add lines that belong together, or none of them; once some did not fit, nothing fits any more."""
        size = sum(len(line.encode()) + 1 for line in lines)
        self.full = self.full or self.size + size > self.limit
        if not self.full:
            self.close(*lines)
        return not self.full

    def close(self, *lines: str) -> None:
        """Add lines that must be there."""
        self.lines += lines
        self.size += sum(len(line.encode()) + 1 for line in lines)

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def _cells(verdict: Mapping[str, Any]) -> str:
    cells = verdict["cells"]
    counted = ", ".join(f"{cells[name]} {name}" for name in ("cached", "done", "errors", "pending"))
    return f"The run is {verdict['status']}: {cells['planned']} cells planned = {counted}."


def _gate(page: _Page, items: Sequence[Mapping[str, Any]]) -> None:
    if not items:
        return
    rows = [
        (escaped(rule_text(item["rule"])), f"{GATE_GLYPHS[item['outcome']]} {item['outcome']}", escaped(item["reason"]))
        for item in items
    ]
    _table(page, f"Gate: {gate_sentence(items)}", GATE_HEAD, "---", rows)


def _claims(page: _Page, title: str, claims: Sequence[ClaimRow]) -> None:
    if not claims:
        return
    rows = [
        (
            f"{escaped(claim.label)}, {escaped(claim.contrast)}",
            escaped(claim.reference.text),
            escaped(claim.candidate.text),
            escaped(claim.effect.text),
            escaped(", ".join(part for part in (claim.interval, claim.p) if part) or "no interval"),
            f"{claim.glyph} {claim.word}",
            escaped(claim.n),
        )
        for claim in claims
    ]
    _table(page, title, CLAIMS_HEAD, "--:", rows)


def _table(page: _Page, title: str, head: Sequence[str], numbers: str, rows: Sequence[Sequence[str]]) -> None:
    rule = ["---", *(numbers for _ in head[1:-2]), "---", "---"]
    opened = page.add(f"### {title}", "", f"| {' | '.join(head)} |", f"| {' | '.join(rule)} |")
    page.left_out += sum(not page.add(f"| {' | '.join(row)} |") for row in rows)
    page.close(*([""] if opened else []))


def _end(verdict: Mapping[str, Any], link: str | None, left_out: int) -> list[str]:
    lines = [f"{left_out} rows are left out here, since GitHub shows no longer summary; the report has them.", ""]
    where = f"Report: {escaped(verdict['report'] or '–', SHORT)}" + (f" ([artifacts]({link}))" if link else "")
    return [*(lines if left_out else []), where]


def _cut(text: str, limit: int) -> str:
    """Cut at a space, so that no entity or escape is torn."""
    if len(text.encode()) <= limit:
        return text
    head = text.encode()[:limit].decode(errors="ignore")
    return head.rpartition(" ")[0] + " …"
