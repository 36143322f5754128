"""Gate rules in a suite and in a file of their own: each mistake has place, value, what is allowed, nearest name."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench.claims.metrics import METRICS
from stabbench.errors import ConfigurationError
from stabbench.suite.gate import read_rules
from stabbench.suite.load import load_suite
from stabbench.suite.metrics import KNOWN, UNDIRECTED
from stabbench.suite.schema import GateRule
from stabbench.suite.stored import stored_suite

NOISE = "probes: {accuracy: {}, noise: {kinds: [keyboard], severities: [1, 3]}, latency: {batch: [1], length: [8]}}\n"


@pytest.mark.parametrize(
    ("rule", "column", "said"),
    [
        ("{claim: acuracy, not_worse_by: 0.01}", 9, "Did you mean 'accuracy'?"),
        ("{claim: attack.success_rate, at_most: 0.5}", 9, "unknown metric of this suite's probes"),
        ("{claim: accuracy, not_wors_by: 0.01}", 26, "unknown key 'not_wors_by'. Did you mean 'not_worse_by'?"),
        ("{claim: accuracy}", 8, "exactly one of not_worse_by, max_increase, at_most, at_least; found none"),
        ("{claim: accuracy, at_most: 1, at_least: 0}", 8, "found at_most and at_least"),
        ("{not_worse_by: 0.01}", 8, "'claim' is missing"),
        ("{claim: accuracy, not_worse_by: -0.01}", 26, "expected at least 0"),
        ("{claim: accuracy, not_worse_by: '0.01'}", 26, "Write it without quotes"),
        ("{claim: accuracy, not_worse_by: .nan}", 26, "expected a finite number"),
        ("{claim: accuracy, not_worse_by: 1.5}", 26, "write 1 point as 0.01; found 1.5"),
        ("{claim: accuracy, at_least: 80}", 26, "is a share, between 0 and 1"),
        ("{claim: accuracy, not_worse_by: 0.01, candidate: stabilised}", 46, "Did you mean 'stabilized'?"),
        ("{claim: accuracy, not_worse_by: 0.01, compression: int8}", 46, "unknown compression of this suite 'int8'"),
        ("{claim: noise.flip_rate, at: {kind: keybord}, at_most: 0.1}", 38, "Did you mean 'keyboard'?"),
        ("{claim: noise.flip_rate, at: {kind: [1]}, at_most: 0.1}", 38, "a name or a number for each coordinate"),
        ("{claim: gradient.clip_rate, not_worse_by: 0.1}", 36, "use max_increase or at_most"),
        ("{claim: seeds.sd, at_most: 0.1}", 26, "compare seeds.sd by not_worse_by"),
        ("{claim: seeds.disagreement, not_worse_by: 0.1}", 36, "one figure for all seeds"),
        ("{claim: latency.p99, not_worse_by: 0.1}", 9, "use latency.ratio"),
        ("{claim: latency.p50, at_most: 0.1}", 29, "limit latency.ratio"),
        ("{claim: accuracy, not_worse_by: 0.01, known: ''}", 46, "at least 1"),
        ("accuracy", 8, "expected a mapping"),
    ],
)
def test_a_wrong_rule_is_placed_and_told(problems, rule, column, said) -> None:
    found = problems(f"{NOISE}gate: [{rule}]\n")

    assert any(p.line == 10 and said in p.message for p in found), [str(p) for p in found]
    placed = next(p for p in found if said in p.message)
    assert placed.file is not None
    assert placed.path.startswith("gate[0]")
    assert placed.column is not None
    assert placed.column >= column


def test_what_is_undirected_is_what_the_claims_call_neither() -> None:
    assert set(UNDIRECTED) == {name for name in KNOWN if name in METRICS and METRICS[name].better == "neither"}


def test_rules_survive_the_resolved_form_as_written(write, base) -> None:
    rules = [
        {"claim": "accuracy", "not_worse_by": 0.0},
        {"claim": "train.failed", "max_increase": 0.2, "candidate": "stabilized", "known": "flaky since March"},
    ]
    loaded = load_suite(str(write(f"{base}gate: {rules}\n".replace("'", '"'))))

    again = stored_suite(loaded.resolved)

    assert again.gate == loaded.suite.gate
    assert [rule.as_written() for rule in again.gate] == rules
    assert again.seeds == [0, 1, 2, 3, 4, 5]


def test_a_rule_may_name_the_reference_for_a_comparison_with_another_run(write, base) -> None:
    text = f"{base}gate: [{{claim: accuracy, not_worse_by: 0.01, candidate: baseline}}]\n"

    assert load_suite(str(write(text))).suite.gate[0].candidate == "baseline"


@pytest.mark.parametrize(
    "text",
    [
        "- {claim: accuracy, not_worse_by: 0.02}\n",
        "gate:\n  - {claim: accuracy, not_worse_by: 0.02}\n",
        "schema: 1\nname: study\ngate: [{claim: accuracy, not_worse_by: 0.02}]\n",
    ],
    ids=["a list", "a mapping", "a suite"],
)
def test_rules_are_read_from_a_file_of_their_own(write, base, text: str) -> None:
    suite = load_suite(str(write(base))).suite

    assert read_rules(write(text, "rules.yaml"), suite) == [GateRule(claim="accuracy", not_worse_by=0.02)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {claim: accuracy, not_worse_by: 0.02}\n- {claim: acuracy, at_most: 1}\n", "rules.yaml:2:4  gate[1].claim"),
        ("gaet: []\n", "rules.yaml:1:1  gaet: unknown key 'gaet'. Did you mean 'gate'?"),
        ("gate: []\n", "there is no rule in it"),
        ("gate: 3\n", "expected a list; found 3"),
        ("3\n", "no rules in it"),
        ("- {claim: accuracy\n", "not valid YAML"),
        ("- {claim: accuracy, at_most: 1, candidate: x}\n", "unknown variant 'x'"),
    ],
)
def test_mistakes_in_a_rules_file_are_placed(write, base, text: str, said: str) -> None:
    suite = load_suite(str(write(base))).suite

    with pytest.raises(ConfigurationError) as caught:
        read_rules(write(text, "rules.yaml"), suite)

    assert said in str(caught.value)


def test_a_rules_file_that_is_not_there_is_told(write, base) -> None:
    suite = load_suite(str(write(base))).suite

    with pytest.raises(ConfigurationError, match="the rules cannot be read: No such file"):
        read_rules(Path("nowhere.yaml"), suite)
