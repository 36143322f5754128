"""One claim object: terminal, JSON, Markdown, HTML, JUnit and exit code cannot tell different stories."""

from __future__ import annotations

import contextlib
import io
import json
from collections import Counter
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from made_claims import verdicts
from markdown_it import MarkdownIt

from stabbench.claims.claim import Claim
from stabbench.claims.text import claim_line
from stabbench.execution.terminal import print_verdict
from stabbench.records import finite
from stabbench.report.benchmark_json import benchmark_entries
from stabbench.report.claims_table import claim_rows
from stabbench.report.data import CellMatrix, ClaimRow, Page
from stabbench.report.junit import OF_OUTCOME, OF_VERDICT, junit_xml
from stabbench.report.markdown import summary_markdown
from stabbench.report.render import to_html
from stabbench.report.visible import visible

wide = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(wide, max_examples=10)


def seen(text: str) -> str:
    """Text without blanks and control characters, which a terminal does not show."""
    return "".join(char for char in text if char.isprintable() and not char.isspace())


def markdown_rows(markdown: str, columns: int) -> list[list[str]]:
    """Texts of the body rows of all tables with so many columns, read by an independent parser of GitHub's tables."""
    rows: list[list[str]] = []
    body = False
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(markdown):
        body = token.type == "tbody_open" or (body and token.type != "tbody_close")
        if body and token.type == "tr_open":
            rows.append([])
        elif body and token.type == "inline":
            rows[-1].append("".join(child.content for child in token.children or []))
    return [row for row in rows if len(row) == columns]


def page_of(primary: list[ClaimRow], secondary: list[ClaimRow]) -> str:
    return to_html(
        Page(
            title="made", subtitle="", facts=[], sentence="", primary=primary, secondary=secondary, warnings=[],
            sections=[], matrix=CellMatrix([], []), errors=[], environment=[], suite_text="", commands=[], machine="{}",
        )
    )  # fmt: skip


def html_rows(page: str) -> list[tuple[str, str, str]]:
    """(anchor, verdict word, n) of each claim in the page, read by lxml."""
    from lxml import html as parser

    rows = parser.fromstring(page).xpath('//table[@class="claims"]/tbody/tr')
    return [
        (
            row.get("id"),
            row.xpath('string(.//span[starts-with(@class, "verdict")])').split(maxsplit=1)[1].strip(),
            row.xpath('string(td[@data-name="n"])'),
        )
        for row in rows
    ]


def junit_cases(text: str) -> list[tuple[str, str, str]]:
    """(suite, name, kind) of each case."""
    root = ElementTree.fromstring(text.encode())
    return [
        (suite.attrib["name"], case.attrib["name"], next((c.tag for c in case if c.tag != "system-out"), "pass"))
        for suite in root
        for case in suite
    ]


def terminal(verdict: dict[str, Any]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_verdict(verdict, smoke=False, command="stabbench run made")
    return printed.getvalue()


@wide
@given(verdict=verdicts())
def test_every_format_has_the_same_claims_with_the_same_words(verdict: dict[str, Any]) -> None:
    found = [Claim.from_dict(content) for content in json.loads(json.dumps(finite(verdict)))["claims"]]
    primary, secondary = claim_rows(verdict)
    rows = [*primary, *secondary]
    words = Counter(claim.verdict for claim in found)

    assert Counter(row.word for row in rows) == words
    assert [row.word for row in primary] == [claim.verdict for claim in found if claim.primary]
    markdown = markdown_rows(summary_markdown(verdict), 7)
    assert [row[5] for row in markdown] == [f"{row.glyph} {row.word}" for row in rows]
    assert [(row[3], row[6]) for row in markdown] == [(row.effect.text, row.n) for row in rows]
    cases = [case for case in junit_cases(junit_xml(verdict)) if case[0] not in ("cells", "gate")]
    namespaces = list(dict.fromkeys(claim.metric.split(".")[0] for claim in found))
    ordered = [claim for name in namespaces for claim in found if claim.metric.split(".")[0] == name]
    assert [kind for _, _, kind in cases] == [
        "skipped" if claim.verdict == "regressed" and not claim.primary else OF_VERDICT[claim.verdict]
        for claim in ordered
    ]
    printed = seen(terminal(verdict))
    assert all(seen(claim_line(claim)) in printed for claim in found if claim.primary)
    assert {entry["name"] for entry in benchmark_entries(verdict)} <= {visible(claim.id, 300) for claim in found}


@few
@given(verdict=verdicts())
def test_the_page_shows_these_rows(verdict: dict[str, Any]) -> None:
    primary, secondary = claim_rows(verdict)

    assert html_rows(page_of(primary, secondary)) == [(row.id, row.word, row.n) for row in (*primary, *secondary)]


@wide
@given(verdict=verdicts())
def test_the_gate_is_the_same_everywhere_and_decides_the_exit_code_that_junit_shows(verdict: dict[str, Any]) -> None:
    outcomes = [item["outcome"] for item in verdict["gate"]]
    cases = junit_cases(junit_xml(verdict))

    assert [kind for suite, _, kind in cases if suite == "gate"] == [OF_OUTCOME[outcome] for outcome in outcomes]
    told = [row[1].split(maxsplit=1)[1] for row in markdown_rows(summary_markdown(verdict), 3)]
    assert told == outcomes
    (run,) = [kind for suite, _, kind in cases if suite == "cells"]
    assert (run == "pass") == (verdict["status"] == "complete")
    # DESIGN §10: the code is 0 exactly where every cell is there and no rule failed, is incomplete or not comparable.
    clean = run == "pass" and not set(outcomes) & {"fail", "incomplete", "not comparable"}
    assert (expected_code(verdict) == 0) == clean
    if expected_code(verdict) == 1:
        assert ("gate", "failure") in {(suite, kind) for suite, _, kind in cases}


def expected_code(verdict: dict[str, Any]) -> int:
    """The exit code by the table of DESIGN §10, ``--inconclusive warn``."""
    codes = {{"complete": 0, "incomplete": 3, "interrupted": 130}[verdict["status"]]}
    codes |= {{"fail": 1, "not comparable": 4, "incomplete": 3}.get(item["outcome"], 0) for item in verdict["gate"]}
    return next(code for code in (2, 70, 130, 4, 1, 3, 5, 0) if code in codes)


@wide
@given(verdict=verdicts())
def test_the_exit_code_is_that_of_the_table(verdict: dict[str, Any]) -> None:
    gate = pytest.importorskip("stabbench.claims.gate")
    own = {"complete": 0, "incomplete": 3, "interrupted": 130}[verdict["status"]]

    assert gate.exit_code(own, [item["outcome"] for item in verdict["gate"]], "warn") == expected_code(verdict)
