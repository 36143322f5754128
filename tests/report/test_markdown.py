"""The step's summary: what hostile text cannot do, and what happens where GitHub would refuse the page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_claims import HOSTILE, claim, document, names, verdicts
from markdown_it import MarkdownIt
from markdown_it.token import Token

from stabbench.report.markdown import MOST_BYTES, escaped, summary_markdown
from stabbench.report.visible import visible

OURS = {
    "text", "strong_open", "strong_close", "inline", "html_block", "paragraph_open", "paragraph_close",
    "heading_open", "heading_close", "table_open", "table_close", "thead_open", "thead_close", "tbody_open",
    "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close", "text_special",
}  # fmt: skip


def tokens(text: str) -> list[Token]:
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [*found, *(child for token in found for child in token.children or [])]


@settings(max_examples=60, deadline=None)
@given(verdict=verdicts())
def test_no_text_becomes_markup(verdict: dict[str, Any]) -> None:
    text = summary_markdown(verdict)
    found = tokens(text)

    assert {token.type for token in found} <= OURS
    html = [token.content.strip() for token in found if token.type == "html_block"]
    assert all(line.startswith(("<details><summary>", "</details>")) for line in html)
    # What GitHub itself adds to Markdown: mentions, issues, formulas and bare addresses.
    assert not [mark for mark in ("@", "http://", "www.e") if mark in text]
    assert "$" not in text.replace("&#36;", "")


@settings(max_examples=100, deadline=None)
@given(text=st.one_of(names, st.text(alphabet="\\`*_{}[]<>#|~&!@$ab1.:/w ", max_size=40)))
def test_escaped_text_is_shown_as_it_was(text: str) -> None:
    (paragraph,) = [t for t in tokens(f"x {escaped(text)} x") if t.type == "inline"]

    shown = "".join(child.content for child in paragraph.children or [])
    assert shown.split() == f"x {visible(text, 600)} x".split()


@settings(max_examples=30, deadline=None)
@given(verdict=verdicts(most_claims=30), limit=st.integers(5000, 9000))
def test_no_limit_is_exceeded_and_a_cut_falls_between_rows(verdict: dict[str, Any], limit: int) -> None:
    whole, text = summary_markdown(verdict), summary_markdown(verdict, limit=limit)

    assert len(text.encode()) <= limit
    assert text.count("<details>") == text.count("</details>")
    rows = [line for line in text.split("\n") if line.startswith("|")]
    assert set(rows) <= set(whole.split("\n"))
    if rows != [line for line in whole.split("\n") if line.startswith("|")]:
        assert "rows are left out here" in text
    assert text.rstrip().split("\n")[-1].startswith("Report: ")


def test_a_long_run_is_cut_below_a_megabyte_and_says_how_many_rows_are_missing() -> None:
    many = [claim(at={"n": index}, reference=(HOSTILE[0] * 40, "dense"), primary=index < 2) for index in range(3000)]
    text = summary_markdown(document(many))
    shown = sum(line.startswith("| accuracy") for line in text.split("\n"))

    assert MOST_BYTES - 10_000 < len(text.encode()) <= MOST_BYTES
    assert f"{3000 - shown} rows are left out here" in text


def test_the_page_says_sentence_gate_claims_and_where_the_report_is() -> None:
    item = {
        "rule": {"claim": "accuracy", "not_worse_by": 0.01}, "claim": None, "outcome": "fail",
        "reason": "stabilized vs baseline: −3.0 points", "effect": -0.03, "interval": [-0.1, None], "bound": -0.01,
        "p": 0.9,
    }  # fmt: skip
    secondary = claim("regressed", "noise.mce", primary=False)
    text = summary_markdown(document([claim(), secondary], [item]), link="https://example.org/runs/1#artifacts")

    order = [
        "## stabbench: made", "**stabilized vs baseline: accuracy inconclusive", "The run is complete: 5 cells",
        "### Gate: 1 failed", "| accuracy not worse by 0.01 | ✗ fail | stabilized vs baseline: −3.0 points |",
        "### Primary claims", "| accuracy, stabilized vs baseline | 0.700 | 0.720 | +2.0 points |", "<details>",
        "1 secondary claims, unadjusted", "✗ regressed", "</details>",
        "Report: runs/x/report.html ([artifacts](https://example.org/runs/1#artifacts))",
    ]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize("smoke", [True, False])
def test_a_smoke_run_is_marked(smoke: bool) -> None:
    text = summary_markdown(document([], environment={"smoke": smoke}))

    assert ("never a verdict" in text) == smoke
