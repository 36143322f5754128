"""The anatomy: every parameter has one block, of whatever model of the family, and strangers are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    MPNetConfig,
    MPNetForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
SMALL = [
    (BertForSequenceClassification(BertConfig(**SIZES)), True),
    (RobertaForSequenceClassification(RobertaConfig(**SIZES)), False),
    (ElectraForSequenceClassification(ElectraConfig(**SIZES, embedding_size=8)), False),
    (MPNetForSequenceClassification(MPNetConfig(**SIZES)), True),
    (
        DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=50, dim=16, n_layers=3, n_heads=2, hidden_dim=32)
        ),
        False,
    ),
]
IDS = [type(model).__name__ for model, _ in SMALL]


@pytest.mark.parametrize(("model", "pooled"), SMALL, ids=IDS)
def test_every_parameter_belongs_to_exactly_one_block_and_blocks_stand_bottom_up(
    model: nn.Module, pooled: bool
) -> None:
    parts = anatomy(model)

    middle = ["block.0", "block.1", "block.2"] + (["pooler"] if parts.pooler is not None else [])
    assert parts.block_names == ("embeddings", *middle, "head")
    assert set(parts.block_of) == {name for name, _ in model.named_parameters()}
    assert set(parts.block_of.values()) == set(parts.block_names)
    if isinstance(model, BertForSequenceClassification):
        assert pooled
        assert parts.pooler is model.bert.pooler


@pytest.mark.parametrize(("model", "pooled"), SMALL, ids=IDS)
def test_a_change_of_block_k_changes_only_hidden_states_above_it(model: nn.Module, pooled: bool) -> None:
    """Blocks are told by structure; what the forward pass does with them is the independent witness."""
    model.eval()
    ids = torch.arange(4, 12).view(1, 8)
    before = model(input_ids=ids, output_hidden_states=True).hidden_states
    block = anatomy(model).blocks[1]

    with torch.no_grad():
        for parameter in block.parameters():
            parameter.add_(0.5)
    after = model(input_ids=ids, output_hidden_states=True).hidden_states

    assert [bool(torch.equal(a, b)) for a, b in zip(before, after, strict=True)] == [True, True, False, False]


@pytest.mark.parametrize(("model", "pooled"), SMALL, ids=IDS)
def test_the_word_embeddings_turn_ids_into_vectors(model: nn.Module, pooled: bool) -> None:
    table = anatomy(model).word_embeddings

    assert table.num_embeddings == 50
    assert tuple(table(torch.zeros(2, 5, dtype=torch.int64)).shape[:2]) == (2, 5)


def test_tied_weights_belong_to_the_embeddings() -> None:
    parts = anatomy(BertForMaskedLM(BertConfig(**SIZES)))

    assert parts.block_of["bert.embeddings.word_embeddings.weight"] == "embeddings"


@pytest.mark.parametrize(
    "model", [AlbertForSequenceClassification(AlbertConfig(**SIZES)), nn.Sequential(nn.Linear(2, 2))]
)
def test_an_unknown_model_is_refused_by_its_class_name(model: nn.Module) -> None:
    with pytest.raises(ConfigurationError, match=type(model).__name__):
        anatomy(model)
