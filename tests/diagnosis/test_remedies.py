"""Remedies: only what this version has, what is new to the arm, and what its other stabilizers allow."""

from __future__ import annotations

from typing import Any

import pytest

from stabbench import registry
from stabbench.diagnosis import remedies
from stabbench.diagnosis.apply import remedied_stabilizers, seeds_of
from stabbench.diagnosis.arms import Arm
from stabbench.diagnosis.finding import Remedy
from stabbench.suite.schema import TrainOptions


def arm(stabilizers: dict[str, dict[str, Any]] | None = None, **train: Any) -> Arm:
    return Arm("a", True, TrainOptions(**train).model_dump(), stabilizers or {}, ())


def test_what_is_not_in_the_registry_is_left_out_and_advice_stays() -> None:
    unknown, advice = Remedy("unknown", add={"no_such_stabilizer": {}}), Remedy("think")
    known = Remedy("known", add={"ema": {}})

    assert remedies.usable(arm(), [unknown, None, known, advice, known]) == (known, advice)


def test_training_options_that_are_not_allowed_are_left_out() -> None:
    assert remedies.usable(arm(), [remedies.optimizer(arm(), "no-such-optimizer", "x")]) == ()
    assert remedies.usable(arm(), [Remedy("same", {"learning_rate": 2e-5})]) == (), "it has that already"


@pytest.mark.parametrize("options", [{"no_such_option": 1}])
def test_options_that_a_stabilizer_does_not_have_are_left_out(options: dict[str, Any]) -> None:
    assert remedies.usable(arm(), [Remedy("x", add={"ema": options})]) == ()


def test_a_stabilizer_that_owns_a_hook_of_another_is_left_out() -> None:
    exclusive = [
        name
        for name in registry.names("stabilizers")
        if "wrap_backward" in registry.card("stabilizers", name).traits["exclusive"]
    ]
    assert "fgm" in exclusive
    other = Remedy("x", add={"fgm": {}})

    assert remedies.usable(arm({"fgm": {}}), [Remedy("y", add={"fgm": {"epsilon": 0.5}})]), "its own options may change"
    for name in set(exclusive) - {"fgm"}:
        assert remedies.usable(arm({name: {}}), [other]) == ()


def test_bias_correction_is_offered_where_it_is_missing_and_warmup_grows_to_a_limit() -> None:
    assert remedies.corrected(arm()) is None
    assert remedies.corrected_and_warm(arm({"warmup": {"fraction": 0.1}}, optimizer="bertadam")) is None
    warm = remedies.warmup(arm())
    assert warm is not None
    assert warm.add == {"warmup": {"fraction": 0.1}}
    longer = remedies.warmup(arm({"warmup": {"fraction": 0.1}}))
    assert longer is not None
    assert longer.add == {"warmup": {"fraction": 0.2}}
    assert remedies.warmup(arm({"warmup": {"fraction": 0.5}})) is None


def test_half_the_strength_is_of_the_option_that_says_it() -> None:
    given = arm({"r_drop": {"alpha": 1.0}, "warmup": {"fraction": 0.1}, "fgm": {"epsilon": 0.0}})

    half = remedies.halved(given, "r_drop")
    assert half is not None
    assert half.add == {"r_drop": {"alpha": 0.5}}
    assert remedies.halved(given, "warmup") is None
    assert remedies.halved(given, "fgm") is None, "zero cannot be halved"


def test_a_remedy_changes_the_arm_in_place_and_nothing_else() -> None:
    given = arm({"warmup": {"fraction": 0.1}, "clip_grad_norm": {"max_norm": 1.0}, "ema": {"decay": 0.9}})
    remedy = Remedy("x", add={"clip_grad_norm": {"max_norm": 5.0}, "r_drop": {}}, remove=("ema",))

    assert remedied_stabilizers(given, remedy) == [
        {"warmup": {"fraction": 0.1}}, {"clip_grad_norm": {"max_norm": 5.0}}, {"r_drop": {}},
    ]  # fmt: skip


def test_seeds_survive_as_the_suite_gave_them() -> None:
    assert seeds_of(["0", "1", "7"]) == [0, 1, 7]
    assert seeds_of(["0", "0/1", "0/2", "1/0", "1", "1/2"]) == {"init": 2, "order": 3}
