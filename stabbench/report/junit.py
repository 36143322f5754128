"""The verdict as JUnit XML: a suite for each namespace of metrics, a case for each claim, gate rule and crashed cell.

There is no official schema; these are the elements and attributes that Jenkins, GitLab and the usual GitHub actions
read. How a verdict maps: a ``regressed`` primary claim and a failed gate rule → ``failure``; what is missing
(``incomplete``, a crashed cell) → ``error``; what nobody can decide (``inconclusive``, ``not comparable``,
``undecided``, a known issue) → ``skipped`` with its text; everything else passes. A JUnit file knows neither
"secondary" nor "unadjusted": a regressed secondary claim is skipped too, and the text of every such case says what it
is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from xml.etree import ElementTree

from stabbench.claims.claim import Claim
from stabbench.claims.gate_words import rule_text
from stabbench.claims.text import claim_line, sentence
from stabbench.report.visible import visible

Kind = Literal["pass", "failure", "error", "skipped"]
OF_VERDICT: Mapping[str, Kind] = {
    "improved": "pass",
    "equivalent": "pass",
    "regressed": "failure",
    "inconclusive": "skipped",
    "not comparable": "skipped",
    "incomplete": "error",
}
"""Of primary claims. About one in twenty secondary claims looks regressed by chance, so none of them fails a build."""
OF_OUTCOME: Mapping[str, Kind] = {
    "pass": "pass",
    "fail": "failure",
    "undecided": "skipped",
    "not comparable": "skipped",
    "known": "skipped",
    "incomplete": "error",
}
SHORT, LONG = 300, 2000
"""Most characters of an attribute, and of an element's text."""
MOST_CASES = 2000
MOST_CELLS = 50


@dataclass(frozen=True)
class Case:
    """One test case: its suite, its name, what it came to, in short and in full."""

    suite: str
    name: str
    kind: Kind
    type: str
    short: str
    full: str


def junit_xml(verdict: Mapping[str, Any], errors: Sequence[tuple[str, str]] = ()) -> str:
    """Return the verdict as JUnit XML, UTF-8 with its declaration, bounded in size whatever the run holds.

    Args:
        verdict: the verdict document.
        errors: (cell, message) of the cells that ended in an error.
    """
    others = [*_cell_cases(errors), *_gate_cases(verdict), *_claim_cases(verdict)]
    kept = [_run_case(verdict, left_out=max(0, len(others) - MOST_CASES)), *others[:MOST_CASES]]
    root = ElementTree.Element("testsuites", {"name": _attribute(f"stabbench {verdict['suite']}"), **_counts(kept)})
    for name in dict.fromkeys(case.suite for case in kept):
        mine = [case for case in kept if case.suite == name]
        suite = ElementTree.SubElement(root, "testsuite", {"name": _attribute(name), **_counts(mine)})
        for case in mine:
            _add(suite, case, f"stabbench.{verdict['suite']}.{name}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(suite: ElementTree.Element, case: Case, place: str) -> None:
    names = {"name": _attribute(case.name), "classname": _attribute(place), "time": "0"}
    element = ElementTree.SubElement(suite, "testcase", names)
    if case.kind == "pass":
        child = ElementTree.SubElement(element, "system-out")
    else:
        child = ElementTree.SubElement(element, case.kind, message=_attribute(case.short), type=case.type)
    child.text = _lines(case.full)


def _claim_cases(verdict: Mapping[str, Any]) -> list[Case]:
    found = []
    for claim in map(Claim.from_dict, verdict["claims"]):
        line = claim_line(claim)
        standing = "primary claim" if claim.primary else "secondary claim, unadjusted"
        namespace = claim.metric.split(".")[0]
        full = f"{line}\n{standing}; {claim.reason}"
        found.append(Case(namespace, claim.id, kind_of(claim), claim.verdict, line, full))
    return found


def kind_of(claim: Claim) -> Kind:
    """Return what a claim is as a test case; a regressed secondary claim is skipped, with its text."""
    kind = OF_VERDICT[claim.verdict]
    return "skipped" if kind == "failure" and not claim.primary else kind


def _gate_cases(verdict: Mapping[str, Any]) -> list[Case]:
    found = []
    for number, item in enumerate(verdict["gate"], 1):
        rule, outcome = rule_text(item["rule"]), item["outcome"]
        name = f"{number}. {rule}" + (f" [{item['claim']}]" if item["claim"] else "")
        full = f"{outcome}: {rule}\n{item['reason']}"
        found.append(Case("gate", name, OF_OUTCOME[outcome], outcome, f"{outcome}: {item['reason']}", full))
    return found


def _run_case(verdict: Mapping[str, Any], left_out: int) -> Case:
    """Say whether the run is whole, what it found, and how many cases did not fit."""
    cells = verdict["cells"]
    counted = ", ".join(f"{cells[name]} {name}" for name in ("cached", "done", "errors", "pending"))
    short = f"run {verdict['run']} is {verdict['status']}: {cells['planned']} cells planned = {counted}"
    smoke = (verdict["environment"] or {}).get("smoke")
    told = [short, *([f"{left_out} further cases are left out of this file"] if left_out else [])]
    told += [f"report: {verdict['report']}", "a smoke run, never a verdict" if smoke else sentence(verdict)]
    whole = verdict["status"] == "complete"
    return Case("cells", "the run is complete", "pass" if whole else "error", verdict["status"], short, "\n".join(told))


def _cell_cases(errors: Sequence[tuple[str, str]]) -> list[Case]:
    return [Case("cells", name, "error", "crashed", message, message) for name, message in errors[:MOST_CELLS]]


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    def count(kind: Kind) -> str:
        return str(sum(case.kind == kind for case in cases))

    return {
        "tests": str(len(cases)),
        "failures": count("failure"),
        "errors": count("error"),
        "skipped": count("skipped"),
        "time": "0",
    }


def _attribute(text: str) -> str:
    """Return text on one line that XML can hold: what it cannot (controls, lone surrogates) is shown as [U+0007]."""
    return visible(text, SHORT)[:SHORT]


def _lines(text: str) -> str:
    return "\n".join(visible(line, LONG) for line in text[:LONG].split("\n"))[:LONG]
