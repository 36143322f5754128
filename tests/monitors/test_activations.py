"""Saturation and the attention bound: against what the model itself computes, and on models that lack one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorder import Recorder, value
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from stabbench.models.anatomy import anatomy
from stabbench.models.attention import projections
from stabbench.models.loading import load_pretrained
from stabbench.monitors import activations
from stabbench.monitors.activations import Activations
from stabbench.seeding import TrialSeeds
from stabbench.training.request import TrainResult

Watched = Callable[..., Recorder]
SIZES: dict[str, Any] = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
}  # fmt: skip
DISTIL: dict[str, Any] = {"vocab_size": 50, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32}
FAMILIES = [
    (BertForSequenceClassification(BertConfig(**SIZES)), True),
    (RobertaForSequenceClassification(RobertaConfig(**SIZES)), False),
    (ElectraForSequenceClassification(ElectraConfig(**SIZES)), False),
    (DistilBertForSequenceClassification(DistilBertConfig(**DISTIL)), False),
]


def test_the_first_step_is_recomputed_from_the_first_weights(
    watched: Watched, tiny_model_without_dropout: Path
) -> None:
    monitor = Activations(every=3, saturated=0.5)
    seen = watched([monitor])
    found = monitor.arrays()
    model, _ = load_pretrained(tiny_model_without_dropout, ("no", "yes"), TrialSeeds(0, 0))
    (batch,) = seen.batches[0]
    inputs = batch.inputs()

    with torch.no_grad():
        output = model.bert(**inputs, output_hidden_states=True)  # type: ignore[operator]
        for index, layer in enumerate(model.bert.encoder.layer):  # type: ignore[union-attr,arg-type]
            hidden = output.hidden_states[index].double()
            attention = layer.attention.self.double()
            q, k = (
                m(hidden).reshape(*hidden.shape[:2], 2, 16).transpose(1, 2) for m in (attention.query, attention.key)
            )
            bound = (q.norm(dim=-1).amax(-1) * k.norm(dim=-1).amax(-1)).max() / math.sqrt(16)
            exact = (q @ k.transpose(-1, -2)).abs().max() / math.sqrt(16)

            assert found["attention_bound"][0][index] == pytest.approx(float(bound), rel=1e-4)
            assert exact <= bound * 1.0001
        pooled = output.pooler_output.abs()
    assert found["pooler_saturation"][0] == pytest.approx(float((pooled >= 0.5).double().mean()), abs=1e-6)
    assert found["activation_step"].tolist() == [0, 3, 6]
    assert value(monitor, "train.attention_bound") == pytest.approx(found["attention_bound"].max())
    assert value(monitor, "train.pooler_saturation") == pytest.approx(found["pooler_saturation"][-1])


def first_step(monitor: Activations, model: nn.Module) -> None:
    monitor.start(model.train(), anatomy(model), 1)
    model(input_ids=torch.tensor([[2, 5, 7, 3]]), attention_mask=torch.ones(1, 4, dtype=torch.long))
    monitor.observe(_nothing())
    monitor.end()


@pytest.mark.parametrize(("model", "pools"), FAMILIES, ids=[type(m).__name__ for m, _ in FAMILIES])
def test_every_family_gives_what_it_has(model: nn.Module, pools: bool) -> None:
    monitor = Activations(every=1)
    first_step(monitor, model)

    assert monitor.arrays()["attention_bound"].shape == (1, 2)
    assert ("pooler_saturation" in monitor.arrays()) == pools
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_has_neither_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "projections", lambda block, heads: None)
    monitor = Activations(every=1)
    first_step(monitor, RobertaForSequenceClassification(RobertaConfig(**SIZES)))

    assert [(m.metric, m.value) for m in monitor.measurements()] == [("train.activations", None)]


def _nothing() -> Any:
    class Seen:
        index = 0

    return Seen()


def test_query_and_key_are_found_by_structure_in_the_order_of_their_registration() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Linear(8, 8) for _ in range(3))

    block = nn.Sequential(nn.Linear(8, 32), Attention())
    found = projections(block, 2)

    assert found is not None
    assert (found.query, found.key) == (block[1].a, block[1].b)
    assert projections(nn.Sequential(nn.Linear(8, 24), nn.Linear(24, 8)), 2) is None
    assert projections(block, 3) is None, "8 numbers are not 3 heads"


def test_only_the_first_pass_of_a_step_is_seen(fine_tune_tiny: Callable[..., TrainResult]) -> None:
    """FGM's second pass has other embeddings; with it the first numbers of the trace must stay the same."""

    def first(stabilizers: list[Any]) -> np.ndarray:
        result = fine_tune_tiny(stabilizers, monitors={"activations": {"every": 1}}, epochs=1)
        assert result.subject.folder is not None
        with np.load(result.subject.folder.parent / "trace.npz") as stored:
            return np.asarray(stored["attention_bound"][0])

    np.testing.assert_array_equal(first([]), first([("fgm", {"epsilon": 5.0})]))


def test_a_pooler_driven_into_saturation_shows(watched: Watched) -> None:
    monitor = Activations(every=1)
    watched([monitor], epochs=10, learning_rate=0.3)

    shares = monitor.arrays()["pooler_saturation"]
    assert shares[0] < 0.2
    assert shares[-1] > 0.8
