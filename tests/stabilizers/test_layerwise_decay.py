"""Layer-wise decay against η_l = η ξ^(L+1−l)."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.layerwise_decay import LayerwiseDecay
from stabbench.suite.schema import TrainOptions
from stabbench.training.optimizers import check_groups, parameter_groups


def test_rates_fall_from_the_head_to_the_embeddings_and_cover_every_parameter(tiny_model: Path) -> None:
    """L = 2, η = 1, ξ = 0.5: blocks l = 1, 2 have ξ², ξ¹; embeddings ξ³; pooler and head η."""
    model, _ = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    parts = anatomy(model)

    groups = LayerwiseDecay(factor=0.5).group_params(
        parameter_groups(model, parts, TrainOptions(learning_rate=1.0)), parts
    )

    check_groups(groups, model)
    rates = {group["block"]: group["lr"] for group in groups}
    expected = {"embeddings": 0.125, "block.0": 0.25, "block.1": 0.5, "pooler": 1.0, "head": 1.0}
    assert rates == pytest.approx(expected)
    assert {group["weight_decay"] for group in groups} == {0.0, 0.01}, "the decay split is kept"
