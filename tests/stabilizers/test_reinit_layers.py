"""Re-drawing the top: which weights, from which distribution, and how arms stay matched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from transformers import BertConfig, BertForSequenceClassification, RobertaConfig, RobertaForSequenceClassification

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained, state_hash
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.reinit_layers import ReinitLayers


def drawn(folder: Path, seed: int = 0, **options: Any) -> nn.Module:
    seeds = TrialSeeds(seed, seed)
    model, _ = load_pretrained(folder, ("no", "yes"), TrialSeeds(0, 0))
    for parameter in model.parameters():
        parameter.data.fill_(7.0)  # a value that no draw gives
    ReinitLayers(**options).prepare_model(model, anatomy(model), seeds, 1)
    return model


def changed(model: nn.Module) -> set[str]:
    """Return the parts that were drawn anew; a part is changed as a whole or not at all."""
    block_of = anatomy(model).block_of
    flags: dict[str, set[bool]] = {}
    for name, parameter in model.named_parameters():
        flags.setdefault(block_of[name], set()).add(bool((parameter == 7.0).all()))
    assert all(len(found) == 1 for found in flags.values())
    return {part for part, found in flags.items() if False in found}


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({}, {"pooler", "block.1"}),
        ({"blocks": 2}, {"pooler", "block.0", "block.1"}),
        ({"blocks": 1, "pooler": False}, {"block.1"}),
        ({"blocks": 0}, {"pooler"}),
        (dict(ReinitLayers.null), set()),
    ],
)
def test_the_pooler_and_the_top_blocks_are_drawn_and_nothing_else(
    tiny_model: Path, options: dict[str, Any], parts: set[str]
) -> None:
    assert changed(drawn(tiny_model, **options)) == parts


def test_matrices_are_normal_with_the_models_range_biases_zero_norms_one_and_zero(tiny_model: Path) -> None:
    """W ~ N(0, initializer_range²): 0.1 for this model. Scales 1, shifts 0, by module type and not by name."""
    model = drawn(tiny_model, blocks=2)
    parts = anatomy(model)
    assert parts.pooler is not None
    matrices: list[Tensor] = []
    for part in (*parts.blocks, parts.pooler):
        for module in part.modules():
            if isinstance(module, nn.LayerNorm):
                assert (module.weight == 1).all()
                assert (module.bias == 0).all()
            elif isinstance(module, nn.Linear):
                matrices.append(module.weight.detach().flatten())
                assert (module.bias == 0).all()
    values = torch.cat(matrices).numpy()

    assert len(values) > 15_000
    assert stats.kstest(values, "norm", args=(0.0, 0.1)).pvalue > 1e-3
    assert values.std() == pytest.approx(0.1, rel=0.03)


def test_no_two_matrices_share_their_draws(tiny_model: Path) -> None:
    model = drawn(tiny_model, blocks=2)
    square = [p.detach().flatten().numpy() for p in anatomy(model).blocks[1].parameters() if p.shape == (32, 32)]
    square += [p.detach().flatten().numpy() for p in anatomy(model).blocks[0].parameters() if p.shape == (32, 32)]

    correlations = np.corrcoef(np.stack(square)) - np.eye(len(square))

    assert len(square) == 8
    assert np.abs(correlations).max() < 0.2


def test_draws_depend_on_the_seed_and_on_nothing_else_drawn(tiny_model: Path) -> None:
    first = state_hash(drawn(tiny_model))
    torch.rand(100)
    state = torch.get_rng_state()

    assert state_hash(drawn(tiny_model)) == first
    assert torch.equal(torch.get_rng_state(), state), "it must not draw from the global random state"
    assert state_hash(drawn(tiny_model, seed=1)) != first


def test_arms_with_different_k_share_the_draws_of_common_blocks(tiny_model: Path) -> None:
    one, two = drawn(tiny_model, blocks=1), drawn(tiny_model, blocks=2)

    for a, b in zip(anatomy(one).blocks[1].parameters(), anatomy(two).blocks[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_model_without_a_pooler_has_its_top_blocks_drawn() -> None:
    sizes: dict[str, Any] = {
        "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    }  # fmt: skip
    model = RobertaForSequenceClassification(RobertaConfig(**sizes))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    parts = anatomy(model)

    ReinitLayers(blocks=1).prepare_model(model, parts, TrialSeeds(0, 0), 1)

    moved = {parts.block_of[n] for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"block.2"}
    assert BertForSequenceClassification(BertConfig(**sizes)).config.initializer_range == 0.02


def test_more_blocks_than_the_model_has_are_refused_with_its_depth(tiny_model: Path) -> None:
    with pytest.raises(ConfigurationError, match="blocks: 5, but the model has 2 blocks; choose 0 to 2"):
        drawn(tiny_model, blocks=5)
