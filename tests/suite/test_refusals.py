"""Pairs that cannot work together are refused before anything runs, with the reason."""

from __future__ import annotations

import pytest

from stabbench import registry
from stabbench.suite.load import load_suite
from stabbench.suite.refusals import refusals

VALIDATION = "data: {source: builtin:tiny, train: 16, validation: 8, test: 16}"


@pytest.mark.parametrize(
    ("train", "key"),
    [("{early_stopping: {}}", "early_stopping"), ("{schedule: plateau, plateau: {watch: validation}}", "plateau")],
)
def test_what_looks_at_validation_needs_data_for_it(problems, write, base, train: str, key: str) -> None:
    wanted = f"train.{key} looks at the validation split, and there is none: give data.validation"
    own = problems(old="baseline: {}", new=f"baseline: {{train: {train}}}")
    shared = problems(f"train: {train}\n")

    assert [(p.line, p.path) for p in own if wanted in p.message] == [(7, f"variants.baseline.train.{key}")]
    assert [(p.line, p.path) for p in shared if wanted in p.message] == [(9, f"train.{key}")], "once, not per variant"
    with_data = base.replace("data: {source: builtin:tiny, train: 16, test: 16}", VALIDATION)
    assert load_suite(str(write(with_data + f"train: {train}\n")))


def test_matching_compute_decides_the_length_and_nothing_else_may(problems) -> None:
    found = problems(old="baseline: {}", new="baseline: {train: {match_compute: true, epochs: 3}}")

    assert [p.path for p in found] == ["variants.baseline.train.epochs"]
    assert "match_compute decides the number of steps" in found[0].message


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        ("{optimizer: schedule_free, schedule: constant}", "schedule_free averages the weights itself"),
        ("{early_stopping: {checkpoint: best}}", "both decide the final weights"),
    ],
)
def test_an_average_is_refused_where_an_option_decides_the_final_weights(problems, train: str, reason: str) -> None:
    variant = f"baseline: {{train: {train}, stabilizers: [{{ema: {{}}}}]}}"

    found = problems(old="baseline: {}", new=variant)

    (said,) = [p for p in found if reason in p.message]
    assert said.message.startswith("'ema' cannot work with train.")
    assert said.line == 7


def test_a_stabilizer_can_name_another_that_it_refuses(problems, monkeypatch) -> None:
    traits = registry.card("stabilizers", "fgm").traits
    monkeypatch.setitem(traits, "refuses", {"r_drop": "they would fight"})

    found = problems(old="baseline: {}", new="baseline: {stabilizers: [{r_drop: {}}, {fgm: {}}]}")

    assert [p.message for p in found] == ["'fgm' cannot work with 'r_drop': they would fight"]


@pytest.mark.parametrize("name", registry.names("stabilizers"))
def test_every_refusal_names_something_that_there_is(name: str) -> None:
    from stabbench.suite.schema import TrainOptions

    for other, reason in refusals(name).items():
        field = other.partition("=")[0].split(".")[0]
        assert other in registry.names("stabilizers") or field in TrainOptions.model_fields
        assert len(reason) > 20


def test_a_falling_rate_for_schedule_free_is_warned_about(write, base) -> None:
    text = base.replace("baseline: {}", "baseline: {train: {optimizer: schedule_free}}")

    assert any("it falls twice" in str(w) for w in load_suite(str(write(text))).warnings)
