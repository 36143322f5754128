"""Stabilizers that change the objective or the passes, all in one variant; those that cannot be are refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stabbench import registry
from stabbench.data.example import Dataset, Example
from stabbench.training.request import TrainResult

FineTune = Callable[..., TrainResult]
OPTIONS: dict[str, dict[str, Any]] = {
    "word_adversarial": {"share": 1.0, "clean_epochs": 0}, "mixout": {}, "r_drop": {}, "lnsr": {},
    "r3f": {"epsilon": 0.1}, "smart": {"epsilon": 0.1}, "sam": {"start": 0.0}, "pgd": {}, "freelb": {}, "fgm": {},
}  # fmt: skip
TOGETHER = ("word_adversarial", "mixout", "r_drop", "r3f", "lnsr")
VARIANTS = [
    [*TOGETHER, "smart", "sam"], [*TOGETHER, "smart", "pgd"], [*TOGETHER, "smart", "freelb"], [*TOGETHER, "fgm"],
    [*reversed([*TOGETHER, "smart"])],
]  # fmt: skip

WORDS = ("bad", "good", "dull", "great")
EXAMPLES = tuple(Example(f"t:{i}", f"the film was {word}", i % 2) for i, word in enumerate(WORDS))
DATA = Dataset(EXAMPLES, (), EXAMPLES, ("no", "yes"), "fingerprint")


def refused(first: str, second: str) -> bool:
    owned = [set(registry.card("stabilizers", name).traits["exclusive"]) for name in (first, second)]
    return bool(owned[0] & owned[1])


@pytest.mark.parametrize(("names", "precision"), [*((names, "fp32") for names in VARIANTS), (VARIANTS[0], "bf16")])
def test_they_train_together_to_finite_weights_and_leave_no_trace(
    names: list[str], precision: str, fine_tune_tiny: FineTune
) -> None:
    """Wrappers nest in suite order, so inner ones see passes that outer ones add; two steps show all of it."""
    result = fine_tune_tiny(
        [(name, OPTIONS[name]) for name in names], data=DATA, epochs=1, batch_size=2, precision=precision
    )

    model = result.subject.model
    assert model is not None
    assert result.details["steps"] == 2
    assert all(np.isfinite(parameter.detach().numpy()).all() for parameter in model.parameters())
    assert not [m for m in model.modules() if m._forward_hooks or "forward" in vars(m)]


@pytest.mark.parametrize("names", VARIANTS[::3], ids="+".join)
def test_at_their_null_options_all_together_train_to_the_bits_of_none(
    names: list[str], fine_tune_tiny: FineTune, tiny_model_without_dropout: Path
) -> None:
    null = [(name, dict(registry.load("stabilizers", name).null)) for name in names]

    together = fine_tune_tiny(null, model=tiny_model_without_dropout)

    assert together.details["weights"] == fine_tune_tiny(model=tiny_model_without_dropout).details["weights"]


def test_every_pair_stands_in_a_variant_here_or_is_refused() -> None:
    tried = {frozenset(pair) for names in VARIANTS for pair in combinations(names, 2)}

    for pair in combinations(OPTIONS, 2):
        assert (frozenset(pair) in tried) != refused(*pair), pair
