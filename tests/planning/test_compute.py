"""Declared passes and matched compute against hand-made sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench import registry
from stabbench.planning.cells import cells
from stabbench.planning.compute import Compute, declared_passes, evaluate
from stabbench.planning.trials import arms
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: c
data: {source: builtin:tiny, train: 50, test: 40}
model: builtin:tiny
seeds: 1
train: {epochs: 3, batch_size: 8}
variants:
  baseline: {}
  doubled: {stabilizers: [{r_drop: {}}]}
  matched: {train: {match_compute: true}, stabilizers: [{r_drop: {}}]}
"""


@pytest.mark.parametrize(
    ("formula", "options", "expected"),
    [
        ("1", {}, 1.0),
        ("2", {}, 2.0),
        ("steps + 1 if epsilon else 1", {"steps": 3, "epsilon": 0.5}, 4.0),
        ("steps + 1 if epsilon else 1", {"steps": 3, "epsilon": 0.0}, 1.0),
        ("2 - start", {"start": 0.25}, 1.75),
        ("1 + 2 * (weight > 0)", {"weight": 0.1}, 3.0),
        ("(a + b) / 2", {"a": 1, "b": 2.0}, 1.5),
    ],
)
def test_a_formula_is_arithmetic_over_options(formula: str, options: dict[str, float], expected: float) -> None:
    assert evaluate(formula, options) == expected


@pytest.mark.parametrize("formula", ["__import__('os')", "unknown", "steps.real", "[1][0]", "'a'", "2 ** 9"])
def test_a_formula_is_nothing_else(formula: str) -> None:
    with pytest.raises(ValueError, match="is not allowed"):
        evaluate(formula, {"steps": 3})


@pytest.mark.parametrize("name", registry.names("stabilizers"))
def test_every_stabilizer_declares_passes_and_none_extra_at_its_null_but_r_drop(name: str) -> None:
    """R-Drop with α = 0 still averages two dropout masks: its null is that of a model without dropout."""
    card = registry.card("stabilizers", name)
    forward, backward = declared_passes([(name, card.defaults())])
    null = {**card.defaults(), **{k: float("inf") if v == "Infinity" else v for k, v in card.traits["null"].items()}}

    assert forward >= backward >= 1
    if name != "r_drop":
        assert declared_passes([(name, null)]) == (1.0, 1.0)


def test_passes_of_several_multiply() -> None:
    both = [("r_drop", {"alpha": 1.0}), ("fgm", {"epsilon": 1.0})]

    assert declared_passes([]) == (1.0, 1.0)
    assert declared_passes(both) == (4.0, 4.0)


@pytest.mark.parametrize(
    ("reference", "own", "steps"),
    [
        # 50 examples in batches of 8: 7 steps an epoch, 21 in three; 2 passes against 4.
        ({"epochs": 3, "max_steps": None, "batch_size": 8, "passes": 2.0}, (8, 4.0), 10),
        ({"epochs": 3, "max_steps": None, "batch_size": 8, "passes": 2.0}, (8, 2.0), 21),
        ({"epochs": 3, "max_steps": None, "batch_size": 8, "passes": 4.0}, (8, 2.0), 42),
        ({"epochs": 3, "max_steps": 40, "batch_size": 8, "passes": 2.0}, (8, 8.0), 10),
        # 150 examples at 2 passes are 300; batches of 25 at 4 passes cost 100 each.
        ({"epochs": 3, "max_steps": None, "batch_size": 8, "passes": 2.0}, (25, 4.0), 3),
        ({"epochs": 1, "max_steps": None, "batch_size": 50, "passes": 2.0}, (50, 40.0), 1),
    ],
)
def test_steps_are_what_the_references_passes_buy(reference, own, steps: int) -> None:
    assert Compute(**reference, own_batch_size=own[0], own_passes=own[1]).steps(50) == steps


def test_only_a_matched_arm_has_a_budget_and_it_is_part_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(SUITE)
    suite = load_suite(str(file)).suite
    found = {arm.variant: arm for arm in arms(suite)}

    assert found["baseline"].compute is None
    assert found["doubled"].compute is None
    assert found["matched"].compute == Compute(3, None, 8, 2.0, 8, 4.0)
    assert found["matched"].passes == (2.0, 2.0)

    def static(text: str) -> object:
        file.write_text(text)
        found = {c.id: c.static for c in cells(load_suite(str(file)))}
        return found["train/matched/0"].get("compute")

    assert static(SUITE) != static(SUITE.replace("baseline: {}", "baseline: {train: {epochs: 4}}"))


def test_accumulation_changes_the_dropout_stream_and_not_the_order(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(SUITE.replace("doubled: {", "doubled: {train: {accumulation: 2}, "))

    found = {arm.variant: arm for arm in arms(load_suite(str(file)).suite)}

    assert found["doubled"].changed_streams == {"dropout"}
    assert found["baseline"].changed_streams == frozenset()
