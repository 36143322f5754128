"""JUnit XML that two independent parsers and a schema accept, whatever the claims hold, with counts that add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from lxml import etree
from made_claims import HOSTILE, claim, document, verdicts

from stabbench.report.junit import LONG, MOST_CASES, SHORT, junit_xml

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("junit.xsd")))
KINDS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def check(text: str) -> ElementTree.Element:
    """Parse with both parsers, validate, and check every count against the cases."""
    SCHEMA.assertValid(etree.fromstring(text.encode(), etree.XMLParser(huge_tree=False)))
    root = ElementTree.fromstring(text.encode())
    for element in (root, *root):
        cases = list(element.iter("testcase"))
        assert int(element.attrib["tests"]) == len(cases)
        for name, tag in KINDS.items():
            assert int(element.attrib[name]) == sum(case.find(tag) is not None for case in cases)
    return root


def case_of(root: ElementTree.Element, suite: str, index: int = 0) -> ElementTree.Element:
    (found,) = [element for element in root if element.attrib["name"] == suite]
    return found[index]


@settings(max_examples=50, deadline=None)
@given(verdict=verdicts())
def test_any_verdict_gives_a_valid_file(verdict: dict[str, Any]) -> None:
    check(junit_xml(verdict, [(f"noise/{text}/0/dense", text) for text in HOSTILE] + [("x", "lone \udc80")]))


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        ("improved", "system-out"),
        ("equivalent", "system-out"),
        ("regressed", "failure"),
        ("inconclusive", "skipped"),
        ("not comparable", "skipped"),
        ("incomplete", "error"),
    ],
)
def test_each_verdict_becomes_its_kind_with_the_claims_line_and_reason(verdict: str, tag: str) -> None:
    root = check(junit_xml(document([claim(verdict, reason="for a reason")])))
    case = case_of(root, "accuracy")

    assert case.attrib["name"] == "accuracy:stabilized@dense:baseline@dense"
    (child,) = case
    assert child.tag == tag
    assert (child.text or "").startswith(f"{verdict}: accuracy, stabilized vs baseline: ")
    assert "primary claim; for a reason" in (child.text or "")


def test_suites_are_the_namespaces_and_a_secondary_claim_says_that_it_is_unadjusted() -> None:
    made = [
        claim("regressed", "attack.accuracy_under_attack", at={"recipe": "deepwordbug"}, primary=False),
        claim("improved", "noise.mce"),
        claim("improved", "noise.accuracy"),
    ]
    root = check(junit_xml(document(made)))

    assert [(suite.attrib["name"], len(suite)) for suite in root] == [("cells", 1), ("noise", 2), ("attack", 1)]
    assert "secondary claim, unadjusted" in (case_of(root, "attack")[0].text or "")


def test_a_run_that_is_not_whole_and_its_crashed_cells_are_errors() -> None:
    cells = {"planned": 5, "cached": 1, "done": 2, "errors": 1, "pending": 1}
    verdict = document([], status="incomplete", cells=cells)
    root = check(junit_xml(verdict, [("noise/baseline/0/dense", "ValueError: broke")]))

    assert case_of(root, "cells").find("error") is not None
    assert "1 errors, 1 pending" in case_of(root, "cells")[0].attrib["message"]
    crashed = case_of(root, "cells", 1)
    assert crashed.attrib["name"] == "noise/baseline/0/dense"
    assert crashed[0].attrib == {"message": "ValueError: broke", "type": "crashed"}


def test_sizes_are_bounded_and_the_file_says_what_is_left_out() -> None:
    long = "\x00<&" * 50_000
    many = [claim(reason=long, at={"n": index}) for index in range(MOST_CASES + 7)]
    text = junit_xml(document(many), [("cell", long)] * 100)
    root = check(text)

    assert int(root.attrib["tests"]) == MOST_CASES + 1
    assert f"{7 + 50} further cases are left out" in (case_of(root, "cells")[0].text or "")
    # Every character of ours takes at most six bytes, as "&quot;" does.
    assert len(text.encode()) < 6 * (MOST_CASES + 1) * (3 * SHORT + LONG + 100)
    for case in root.iter("testcase"):
        assert max(len(value) for element in case.iter() for value in element.attrib.values()) <= SHORT
        assert len(case[0].text or "") <= LONG


def test_a_smoke_run_is_never_a_verdict() -> None:
    root = check(junit_xml(document([], environment={"smoke": True})))

    assert "a smoke run, never a verdict" in (case_of(root, "cells")[0].text or "")
