"""Adaptive seeds: whatever keeps one claim from deciding is a mistake, placed before anything runs."""

from __future__ import annotations

import pytest

from stabbench.suite.load import json_schema, load_suite
from stabbench.suite.schema import AdaptiveSeeds

COMPARE = "probes: {accuracy: {}, noise: {}, latency: {}}\ncompare: {primary: [accuracy, train.failed]}\n"


@pytest.mark.parametrize(
    ("seeds", "column", "said"),
    [
        (
            "{min: 6, max: 25, until: acuracy}",
            26,
            "unknown claim of compare.primary 'acuracy'. Did you mean 'accuracy'?",
        ),
        ("{min: 6, max: 25, until: macro_f1}", 26, "Allowed: accuracy, train.failed"),
        ("{min: 6, max: 25, until: train.failed}", 26, "not compared by the paired t test"),
        ("{min: 6, max: 7, until: accuracy}", 17, "must be at least `min` + 2 = 8; found 7"),
        ("{min: 2, max: 25, until: accuracy}", 9, "at least 3"),
        ("{min: 6, max: 2500, until: accuracy}", 1, "at most 1000"),
        ("{min: 6, max: 25}", 1, "'until' is missing"),
        ("{min: 6, max: 25, util: accuracy}", 26, "unknown key 'util'. Did you mean 'until'?"),
        ("{min: 6.5, max: 25, until: accuracy}", 9, "expected a whole number"),
        ("{init: 2, ordr: 2}", 18, "Did you mean 'order'?"),
    ],
)
def test_what_cannot_decide_is_placed(problems, seeds: str, column: int, said: str) -> None:
    found = problems(COMPARE, old="seeds: 6", new=f"seeds: {seeds}")

    assert any(said in p.message and (p.line, p.column) == (5, column) for p in found), [str(p) for p in found]


def test_a_claim_with_several_candidates_must_name_one(problems, write, base) -> None:
    adaptive = base.replace("seeds: 6", "seeds: {min: 6, max: 25, until: accuracy}") + "  third: {}\n"

    (found,) = problems(text=adaptive)

    assert "has 2 candidates (stabilized, third); name one in compare.primary" in found.message
    named = "compare: {primary: [{metric: accuracy, candidate: third}]}\n"
    assert isinstance(load_suite(str(write(adaptive + named))).suite.seeds, AdaptiveSeeds)


def test_one_variant_has_nothing_to_decide(problems, base) -> None:
    adaptive = base.replace("seeds: 6", "seeds: {min: 6, max: 25, until: accuracy}")

    (found,) = problems(text=adaptive[: adaptive.index("  stabilized")])

    assert "there is no candidate to decide about" in found.message


def test_two_claims_of_the_named_metric_leave_it_open_which_decides(problems) -> None:
    more = """\
compressions: [int8-dynamic]
compare: {primary: [accuracy, {metric: accuracy, compression: int8-dynamic}]}
"""
    (found,) = problems(more, old="seeds: 6", new="seeds: {until: accuracy}")

    assert "has 2 claims on accuracy" in found.message


@pytest.mark.parametrize("metric", ["latency.p50", "seeds.sd"])
def test_a_claim_without_a_value_per_seed_cannot_decide(problems, metric: str) -> None:
    entry = f"{{metric: {metric}, at: {{batch: 1, length: 16}}}}" if "latency" in metric else metric
    more = f"probes: {{latency: {{batch: [1], length: [16]}}}}\ncompare: {{primary: [{entry}]}}\n"

    found = problems(more, old="seeds: 6", new=f"seeds: {{until: {metric}}}")

    assert any("not compared by the paired t test over seeds" in p.message for p in found), [str(p) for p in found]


def test_a_default_primary_claim_may_decide_and_the_resolved_suite_says_so(write, base) -> None:
    adaptive = base.replace("seeds: 6", "seeds: {until: noise.mce}") + "probes: {accuracy: {}, noise: {}}\n"

    loaded = load_suite(str(write(adaptive)))

    assert loaded.suite.seeds == AdaptiveSeeds(min=6, max=25, until="noise.mce")
    assert loaded.resolved["seeds"] == {"min": 6, "max": 25, "until": "noise.mce"}


def test_the_command_line_can_fix_the_number_or_change_a_bound(write, base) -> None:
    path = str(write(base.replace("seeds: 6", "seeds: {until: accuracy}")))

    assert load_suite(path, ["seeds=4"]).suite.seeds == 4
    assert load_suite(path, ["seeds.max=12"]).suite.seeds == AdaptiveSeeds(min=6, max=12, until="accuracy")


def test_the_schema_for_editors_knows_adaptive_seeds_and_no_look() -> None:
    schema = json_schema()

    assert set(schema["$defs"]["AdaptiveSeeds"]["properties"]) == {"min", "max", "until"}
    assert "SeedsAtLook" not in schema["$defs"]
