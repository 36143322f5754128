"""GitHub annotations: one line of a workflow's log that GitHub shows beside the file that it is about.

The form is ``::error file=F,line=N,col=M,title=T::MESSAGE``; in messages ``% CR LF`` and in properties also ``: ,`` are
written as percent escapes. GitHub shows at most ten errors and ten warnings of a step, so that is what is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.claims.gate_words import rule_text
from stabbench.errors import Problem
from stabbench.report.visible import visible

MOST = 10
LEVELS: Mapping[str, str] = {
    "fail": "error",
    "not comparable": "error",
    "incomplete": "error",
    "undecided": "warning",
    "known": "warning",
}
"""Outcome of a gate rule → annotation; what passed has none."""
LONGEST = 1000
Place = tuple[str, int | None]
"""(file, line)."""


def gate_annotations(verdict: Mapping[str, Any], places: Mapping[int, Place] | None = None) -> list[str]:
    """Return the annotations of the gate rules that did not pass, errors first.

    Args:
        verdict: the verdict document.
        places: index of an item of ``gate`` → where its rule is written, as far as that is known.
    """
    known = places or {}
    found: dict[str, list[str]] = {"error": [], "warning": []}
    for index, item in enumerate(verdict["gate"]):
        if item["outcome"] in LEVELS:
            file, line = known.get(index, (None, None))
            message = f"{item['outcome']}: {rule_text(item['rule'])}: {item['reason']}"
            level = LEVELS[item["outcome"]]
            found[level].append(_annotation(level, message, "stabbench gate", file=file, line=line))
    return [line for level in found for line in _bounded(level, found[level])]


def problem_annotations(problems: Sequence[Problem]) -> list[str]:
    """Return the annotations of mistakes in a suite, each at its place."""
    lines = [
        _annotation("error", f"{p.path}: {p.message}" if p.path else p.message, "stabbench", p.file, p.line, p.column)
        for p in problems
    ]
    return _bounded("error", lines)


def _annotation(
    level: str, message: str, title: str, file: str | None = None, line: int | None = None, col: int | None = None
) -> str:
    given = {"file": file, "line": line, "col": col, "title": title}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in given.items() if value is not None)
    return f"::{level} {properties}::{_message(message)}"


def _bounded(level: str, lines: list[str]) -> list[str]:
    """Keep the first of too many; the last that is shown then says how many are not."""
    if len(lines) <= MOST:
        return lines
    rest = len(lines) - MOST + 1
    return [*lines[: MOST - 1], _annotation(level, f"and {rest} more, in the report", "stabbench")]


def _message(text: str) -> str:
    shown = "\n".join(visible(line, LONGEST) for line in text[:LONGEST].split("\n"))
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")
