"""The gate in the report: every rule with glyph, word and reason; known issues listed; nothing hostile acts."""

from __future__ import annotations

import re
from collections.abc import Callable

from made_run import HOSTILE

from stabbench.execution.comparison import gate_run
from stabbench.report.gate_table import GLYPHS
from stabbench.report.page import build
from stabbench.report.render import to_html
from stabbench.store.run_folder import RunFolder


def test_every_rule_is_shown_with_its_word_and_its_known_issue(make_run: Callable[..., RunFolder]) -> None:
    run = make_run(broken=False, probes=("accuracy",), compressions=False)
    rules = run.path / "rules.yaml"
    rules.write_text(
        "- {claim: accuracy, at_least: 0.2}\n- {claim: accuracy, at_least: 0.99}\n"
        "- {claim: train.failed, at_most: 0.2}\n"
        f"- {{claim: accuracy, at_least: 0.99, known: '{HOSTILE[0]}'}}\n"
    )
    items = gate_run(run, rules=rules).document["gate"]

    page = build(RunFolder(run.path))
    html = to_html(page)

    assert [row.word for row in page.gate] == ["pass", "fail", "undecided", "known"]
    assert [row.word for row in page.gate] == [item["outcome"] for item in items]
    assert [row.glyph for row in page.gate] == [GLYPHS[item["outcome"]] for item in items]
    assert page.gate_sentence == "1 failed, 1 undecided, 1 known issue, 1 passed"
    table = html[html.index('<table class="gate">') :]
    table = table[: table.index("</table>")]
    assert re.findall(r'class="verdict gate-([a-z-]+)"', table) == ["pass", "fail", "undecided", "known"]
    assert "failed runs at most 0.2" in table
    assert "Known issue:" in table
    assert "<script>alert" not in html
    assert html.count('scope="row">accuracy at least 0.99') == 2


def test_without_rules_there_is_no_gate(make_run: Callable[..., RunFolder]) -> None:
    html = to_html(build(make_run(broken=False, probes=("accuracy",), compressions=False)))

    assert 'class="gate"' not in html
