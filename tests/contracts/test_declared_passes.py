"""What a stabilizer declares to cost is what it really costs: counted in a training."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stabbench import registry
from stabbench.planning.compute import declared_passes
from stabbench.training.request import TrainResult

# Searches words by extra scorings of single texts, whose number the text decides: declared on average.
ESTIMATED = {"word_adversarial"}


@pytest.mark.parametrize("name", [name for name in registry.names("stabilizers") if name not in ESTIMATED])
def test_the_declared_passes_are_those_that_training_makes(
    name: str, fine_tune_tiny: Callable[..., TrainResult]
) -> None:
    declared = declared_passes([(name, registry.card("stabilizers", name).defaults())])

    found = {m.metric: m for m in fine_tune_tiny([(name, {})], epochs=4).measurements}

    counted = [found[f"train.{kind}_passes"].value for kind in ("forward", "backward")]
    # A share of the steps is rounded to whole ones.
    assert counted == pytest.approx(declared, abs=1 / 12)
