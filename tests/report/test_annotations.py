"""Annotations as GitHub reads them: undone by the runner's own rules, at most ten of each level."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from made_claims import HOSTILE, document, verdicts

from stabbench.errors import Problem
from stabbench.report.annotations import MOST, gate_annotations, problem_annotations

LEVELS = {"fail": "error", "not comparable": "error", "incomplete": "error", "undecided": "warning", "known": "warning"}


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Read a workflow command as the runner does: split at the first `::` after the properties, then undo escapes."""
    assert "\n" not in line
    match = re.fullmatch(r"::(error|warning) ([^\r\n]*?)::(.*)", line)
    assert match is not None, line
    properties = dict(part.split("=", 1) for part in match[2].split(","))
    undo = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

    def undone(text: str) -> str:
        return re.sub("%(0D|0A|3A|2C|25)", lambda found: undo[found[0]], text)

    return match[1], {name: undone(value) for name, value in properties.items()}, undone(match[3])


def item(outcome: str, reason: str = "why", limit: float = 0.01) -> dict[str, Any]:
    rule = {"claim": "accuracy", "not_worse_by": limit}
    return {
        "rule": rule, "claim": None, "outcome": outcome, "reason": reason, "effect": 0.0, "interval": None,
        "bound": -0.01, "p": None,
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(verdict=verdicts())
def test_every_rule_that_did_not_pass_is_annotated_and_nothing_breaks_a_line(verdict: dict[str, Any]) -> None:
    found = [read(line) for line in gate_annotations(verdict)]
    expected = [LEVELS[entry["outcome"]] for entry in verdict["gate"] if entry["outcome"] in LEVELS]

    assert sorted(level for level, _, _ in found) == sorted(expected)
    assert all(properties == {"title": "stabbench gate"} for _, properties, _ in found)


def test_a_rule_whose_place_is_known_stands_there() -> None:
    verdict = document([], [item("pass"), item("fail", "−3 points: 50 % of it")])
    (line,) = gate_annotations(verdict, {1: ("suites/a:b,c.yaml", 12)})

    level, properties, message = read(line)

    assert level == "error"
    assert properties == {"file": "suites/a:b,c.yaml", "line": "12", "title": "stabbench gate"}
    assert message == "fail: accuracy not worse by 0.01: −3 points: 50 % of it"
    assert line.startswith("::error file=suites/a%3Ab%2Cc.yaml,line=12,title=stabbench gate::fail: ")
    assert "50 %25 of it" in line


@pytest.mark.parametrize(("count", "shown"), [(10, 10), (11, 10), (40, 10)])
def test_at_most_ten_of_each_level_and_the_last_says_how_many_are_not_shown(count: int, shown: int) -> None:
    items = [item("fail", f"no {i}") for i in range(count)] + [item("undecided", f"no {i}") for i in range(count)]
    found = [read(line) for line in gate_annotations(document([], items))]

    for level in ("error", "warning"):
        mine = [message for found_level, _, message in found if found_level == level]
        assert len(mine) == shown
        if count > MOST:
            assert mine[-1] == f"and {count - 9} more, in the report"


def test_mistakes_in_a_suite_stand_at_their_line_and_column() -> None:
    problems = [Problem("unknown key 'x'", "a.yaml", 3, 7, "train"), Problem("no place"), *map(Problem, HOSTILE)]
    lines = problem_annotations(problems)

    assert read(lines[0]) == (
        "error",
        {"file": "a.yaml", "line": "3", "col": "7", "title": "stabbench"},
        "train: unknown key 'x'",
    )
    assert read(lines[1]) == ("error", {"title": "stabbench"}, "no place")
    assert len(lines) == MOST
