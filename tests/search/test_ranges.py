"""``--over``: the grids it makes, and every way of getting it wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stabbench.errors import ConfigurationError
from stabbench.search.ranges import applies, labels_of, read_range, with_values
from stabbench.suite.load import LoadedSuite


@pytest.mark.parametrize(
    ("text", "points", "expected"),
    [
        ("train.learning_rate=1e-5..1e-3", 3, [1e-5, 1e-4, 1e-3]),
        ("train.learning_rate=1e-5..1e-3", 6, [float(f"{x:.3g}") for x in np.geomspace(1e-5, 1e-3, 6)]),
        ("train.weight_decay=0..0.1", 3, [0.0, 0.05, 0.1]),
        ("train.epochs=1..5", 3, [1, 3, 5]),
        ("train.epochs=1..2", 6, [1, 2]),
        ("train.batch_size=4..256", 4, [4, 16, 64, 256]),
        ("train.max_steps=10..1000", 3, [10, 100, 1000]),
        ("train.optimizer=adamw,lion", 6, ["adamw", "lion"]),
        ("stabilizers.clip_grad_norm.max_norm=0.1..10", 3, [0.1, 1.0, 10.0]),
        ("stabilizers.warmup.fraction=0,0.1,0.5", 6, [0, 0.1, 0.5]),
    ],
)
def test_a_range_is_spread_by_equal_ratios_and_a_list_is_taken_as_it_is(
    loaded: LoadedSuite, text: str, points: int, expected: list[Any]
) -> None:
    found = read_range(text, loaded.suite).grid(points)

    assert found == expected
    assert [type(value) for value in found] == [type(value) for value in expected]
    assert len(set(labels_of(found))) == len(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train.learning_rate", "expected KEY=LO..HI or KEY=A,B,C"),
        ("train.learning_rate=", "expected KEY=LO..HI or KEY=A,B,C"),
        ("train.learing_rate=1e-5..1e-3", "unknown training option 'learing_rate'. Did you mean 'learning_rate'?"),
        ("learning_rate=1e-5..1e-3", "expected train.OPTION or stabilizers.NAME.OPTION"),
        ("train.learning_rate=1e-3..1e-5", "two numbers, the smaller first"),
        ("train.learning_rate=1e-3..1e-3", "two numbers, the smaller first"),
        ("train.learning_rate=low..high", "two numbers, the smaller first"),
        ("train.learning_rate=-1..1", "learning_rate: -1 is not allowed"),
        ("train.epochs=1.5..3", "epochs: 1.5 is not allowed"),
        ("train.optimizer=adamw,sdg", "optimizer: 'sdg' is not allowed"),
        ("stabilizers.ema.half_life=0..1", "unknown stabilizer of this suite 'ema'"),
        ("stabilizers.warmup.share=0..1", "unknown option of 'warmup' 'share'"),
        ("stabilizers.warmup.fraction=0..2", "fraction: 2 is greater than or equal to the maximum"),
    ],
)
def test_a_mistake_is_told_with_what_is_allowed(loaded: LoadedSuite, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_range(text, loaded.suite)

    (problem,) = caught.value.problems
    assert str(problem).startswith(f"--over {text}: ")
    assert said in str(problem)


def test_values_go_over_a_variants_own_and_nothing_else_changes(loaded: LoadedSuite) -> None:
    baseline, stabilized = loaded.suite.variants["baseline"], loaded.suite.variants["stabilized"]
    values = {"train.learning_rate": 1e-4, "stabilizers.warmup.fraction": 0.5}

    assert with_values(baseline, values).train == {"optimizer": "bertadam", "learning_rate": 1e-4}
    assert with_values(stabilized, values).stabilizers == [
        {"warmup": {"fraction": 0.5}},
        {"clip_grad_norm": {"max_norm": 1.0}},
    ]
    assert stabilized.stabilizers[0] == {"warmup": {"fraction": 0.2}}, "the suite itself stays as it was"


def test_a_stabilizers_option_applies_to_the_variants_that_have_it(loaded: LoadedSuite) -> None:
    option = read_range("stabilizers.warmup.fraction=0..0.5", loaded.suite)

    assert [applies(option, loaded.suite.variants[name]) for name in ("baseline", "stabilized")] == [False, True]
