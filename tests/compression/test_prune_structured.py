"""prune-structured: importance against finite differences, and the smaller model against silenced heads and units."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import Tensor, nn
from transformers import (
    AutoModelForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from stabbench.compression._artifact import load_model
from stabbench.compression._parts import encoder_parts
from stabbench.compression.base import Material
from stabbench.compression.prune_structured import PruneStructured, importance, largest
from stabbench.errors import ConfigurationError, StabbenchError
from stabbench.models.loading import save_subject
from stabbench.models.subject import Subject, torch_logits

TEXTS = ["the film was good", "a dull and long story that never ends", "no"]
SMALL = {"vocab_size": 400, "max_position_embeddings": 64}
OTHERS = {
    "roberta": lambda: RobertaForSequenceClassification(
        RobertaConfig(
            hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=40, pad_token_id=0, **SMALL
        )
    ),
    "electra": lambda: ElectraForSequenceClassification(
        ElectraConfig(hidden_size=32, embedding_size=16, num_hidden_layers=2, num_attention_heads=4,
                      intermediate_size=40, **SMALL)
    ),
    "distilbert": lambda: DistilBertForSequenceClassification(
        DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=40, **SMALL)
    ),
}  # fmt: skip


def _loss(model: nn.Module, subject: Subject, text: str, label: int) -> float:
    with torch.no_grad():
        logits = model(**subject.encode([text]).inputs()).logits
    return float(nn.functional.cross_entropy(logits, torch.tensor([label])))


def test_importance_is_the_mean_size_of_the_losss_slope_at_a_silencing_factor(
    dense: Subject, material: Material
) -> None:
    """A factor on head h's output is a factor on its columns of the output map: slopes by central differences."""
    examples = material.examples[:3]
    assert dense.model is not None
    model = copy.deepcopy(dense.model).double().eval()
    parts = encoder_parts(model)
    head, unit, step, width = 1, 5, 1e-4, parts[0].head_width
    found = importance(dense.model, encoder_parts(dense.model), dense, examples)

    slopes: dict[str, list[float]] = {"head": [], "unit": []}
    for example in examples:
        for name, weight, columns in (
            ("head", parts[1].output.weight, slice(head * width, (head + 1) * width)),
            ("unit", parts[1].down.weight, slice(unit, unit + 1)),
        ):
            losses = []
            for factor in (1 + step, 1 - step):
                saved = weight.detach().clone()
                with torch.no_grad():
                    weight[:, columns] *= factor
                losses.append(_loss(model, dense, example.text, example.label))
                with torch.no_grad():
                    weight.copy_(saved)
            slopes[name].append(abs(losses[0] - losses[1]) / (2 * step))

    assert float(found[1][0][head]) == pytest.approx(np.mean(slopes["head"]), rel=1e-3)
    assert float(found[1][1][unit]) == pytest.approx(np.mean(slopes["unit"]), rel=1e-3)


@pytest.mark.parametrize(("share", "kept"), [(0.5, [1, 3]), (0.01, [3]), (1.0, [0, 1, 2, 3]), (0.75, [0, 1, 3])])
def test_the_largest_scores_stay_in_order_and_at_least_one(share: float, kept: list[int]) -> None:
    assert largest(torch.tensor([1.0, 2.0, 0.5, 3.0]), share) == kept


def _silenced(model: nn.Module, kept: list[tuple[list[int], list[int]]], width: int) -> nn.Module:
    """The same function by other means: columns of heads and units that go are set to 0."""
    silent = copy.deepcopy(model)
    for part, (heads, units) in zip(encoder_parts(silent), kept, strict=True):
        with torch.no_grad():
            for head in set(range(part.heads)) - set(heads):
                part.output.weight[:, head * width : (head + 1) * width] = 0
            for unit in set(range(part.up.out_features)) - set(units):
                part.down.weight[:, unit] = 0
    return silent


@pytest.mark.parametrize("heads", [0.5, 1.0])
def test_the_artifact_answers_as_the_model_with_its_heads_and_units_silenced(
    heads: float, dense: Subject, material: Material, tmp_path: Path
) -> None:
    assert dense.model is not None
    scores = importance(dense.model, encoder_parts(dense.model), dense, material.examples[:8])
    kept = [(largest(h, heads), largest(u, 0.25)) for h, u in scores]
    batch = dense.encode(TEXTS)

    PruneStructured(heads, 0.25, examples=8, recover_epochs=0).compress(dense, material, tmp_path)
    found = load_model(tmp_path)

    silent = _silenced(dense.model, kept, encoder_parts(dense.model)[0].head_width)
    torch.testing.assert_close(found.logits(batch), torch_logits(silent)(batch), rtol=0, atol=1e-5)
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors["bert.encoder.layer.0.attention.self.query.weight"].shape == (32 * heads, 32)
    assert tensors["bert.encoder.layer.1.intermediate.dense.weight"].shape == (16, 32)


def test_without_pruned_heads_any_library_loads_it(dense: Subject, material: Material, tmp_path: Path) -> None:
    PruneStructured(1.0, 0.5, recover_epochs=0).compress(dense, material, tmp_path)

    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()

    batch = dense.encode(TEXTS)
    assert torch.equal(torch_logits(plain)(batch), load_model(tmp_path).logits(batch))
    assert json.loads((tmp_path / "config.json").read_text())["intermediate_size"] == 32


@pytest.mark.parametrize("family", OTHERS)
def test_other_families_are_pruned_saved_and_loaded(
    family: str, dense: Subject, material: Material, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = OTHERS[family]().eval()
    other = Subject(dense.tokenizer, torch_logits(model), dense.classes, 32, model)
    if family in ("roberta", "distilbert"):  # without segments
        other.tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=dense.tokenizer.backend_tokenizer,
            model_input_names=["input_ids", "attention_mask"],
            pad_token="[PAD]",
        )
    (tmp_path / "whole").mkdir()
    (tmp_path / "half").mkdir()
    save_subject(model, other.tokenizer, tmp_path / "whole", other.classes, 32)

    PruneStructured(0.5, 0.5, recover_epochs=1).compress(other, material, tmp_path / "half")
    found = load_model(tmp_path / "half")

    assert encoder_parts(found.model)[1].heads == 2  # type: ignore[arg-type]
    assert np.isfinite(found.probabilities(TEXTS)).all()


def test_an_unknown_form_of_attention_is_refused(dense: Subject, material: Material, tmp_path: Path) -> None:
    model = copy.deepcopy(dense.model)
    assert model is not None
    model.bert.encoder.layer[1].extra = nn.Linear(32, 32)  # type: ignore[union-attr, operator, index]
    other = Subject(dense.tokenizer, torch_logits(model), dense.classes, 32, model)

    with pytest.raises(ConfigurationError, match=r"BertForSequenceClassification cannot be pruned.*block 1"):
        PruneStructured().compress(other, material, tmp_path)


def test_importance_needs_training_examples(dense: Subject, tmp_path: Path) -> None:
    with pytest.raises(StabbenchError, match="no training examples"):
        PruneStructured().compress(dense, Material(), tmp_path)


def test_recovery_brings_the_answers_nearer_to_the_labels(dense: Subject, material: Material, tmp_path: Path) -> None:
    losses = []
    for epochs in (0, 6):
        folder = tmp_path / str(epochs)
        folder.mkdir()
        PruneStructured(0.5, 0.25, recover_epochs=epochs, recover_learning_rate=2e-3).compress(dense, material, folder)
        found = load_model(folder)
        logits: Tensor = found.logits(dense.encode([example.content for example in material.examples]))
        labels = torch.tensor([example.label for example in material.examples])
        losses.append(float(nn.functional.cross_entropy(logits, labels)))
    assert losses[1] < losses[0]
