"""LoRA against its equation: what is trained, what the adapted layer computes, and what is left at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import DistilBertConfig, DistilBertForSequenceClassification

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained, state_hash
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.lora import Lora
from stabbench.training.request import TrainResult

FineTune = Callable[..., TrainResult]
LAYER = "bert.encoder.layer.0.attention.self.query"


def loaded(folder: Path) -> nn.Module:
    return load_pretrained(folder, ("no", "yes"), TrialSeeds(0, 0))[0].eval()


def prepared(model: nn.Module, seed: int = 0, **options: Any) -> Lora:
    stabilizer = Lora(**options)
    stabilizer.prepare_model(model, anatomy(model), TrialSeeds(seed, seed), 1)
    return stabilizer


def sides(model: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    named = dict(model.named_parameters())
    return tuple(named[f"{LAYER}.lora_{side}.default.weight"].detach().numpy() for side in "AB")  # type: ignore[return-value]


def test_the_layer_adds_the_scaled_low_rank_change_and_merging_writes_it_into_the_weights(tiny_model: Path) -> None:
    """h = Wx + b + (α/r) B A x; at the end W ← W + (α/r) B A."""
    model = loaded(tiny_model)
    layer = model.get_submodule(LAYER)
    weight, bias = (p.detach().numpy().copy() for p in layer.parameters())
    stabilizer = prepared(model, r=3, alpha=12.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1))
    a, b = sides(model)
    x = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    expected = weight + 12.0 / 3 * b @ a

    found = model.get_submodule(LAYER)(torch.tensor(x)).detach().numpy()
    stabilizer.finish_model(model)

    assert (a.shape, b.shape) == ((3, 32), (32, 3))
    np.testing.assert_allclose(found, x @ expected.T + bias, rtol=1e-4, atol=1e-5)
    merged = model.get_submodule(LAYER)
    assert type(merged) is nn.Linear
    np.testing.assert_allclose(merged.weight.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_before_the_first_step_the_model_computes_the_same_and_has_the_same_blocks(tiny_model: Path) -> None:
    model, ids = loaded(tiny_model), torch.arange(5, 21).view(2, 8)
    before, names = model(input_ids=ids).logits, anatomy(model).block_names

    prepared(model, targets="all")

    assert torch.equal(model(input_ids=ids).logits, before)
    assert anatomy(model).block_names == names


@pytest.mark.parametrize(
    ("options", "adapted", "parts"),
    [
        ({}, {"query", "value"}, {"head"}),
        ({"targets": "all"}, {"query", "key", "value", "dense"}, {"head"}),
        ({"train_pooler": True}, {"query", "value"}, {"pooler", "head"}),
    ],
)
def test_only_adapters_inside_blocks_and_the_named_parts_train(
    tiny_model: Path, options: dict[str, Any], adapted: set[str], parts: set[str]
) -> None:
    model = loaded(tiny_model)

    prepared(model, **options)

    block_of = anatomy(model).block_of
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    adapters = [name for name in trained if "lora_" in name]
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in adapters} == adapted
    assert {block_of[name] for name in adapters} == {"block.0", "block.1"}
    assert {block_of[name] for name in trained if "lora_" not in name} == parts
    assert all(parameter.requires_grad == ("lora_" in name or block_of[name] in parts)
               for name, parameter in model.named_parameters())  # fmt: skip


def test_draws_come_from_the_extra_stream_and_leave_the_global_state(tiny_model: Path) -> None:
    hashes = []
    for seed in (0, 0, 1):
        model = loaded(tiny_model)
        torch.rand(3)
        state = torch.get_rng_state()
        prepared(model, seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        hashes.append(state_hash(model))

    assert hashes[0] == hashes[1] != hashes[2]


def changes(result: TrainResult, start: nn.Module) -> dict[str, np.ndarray]:
    assert result.subject.model is not None
    pairs = zip(result.subject.model.named_parameters(), start.parameters(), strict=True)
    found = {name: (end - begin).detach().numpy() for (name, end), begin in pairs}
    return {name: change for name, change in found.items() if change.any()}


@pytest.mark.parametrize(
    "stabilizers",
    [
        [("lora", {"r": 2})],
        [("lora", {"r": 2}), ("ema", {"half_life": 0.3})],
        [("ema", {"half_life": 0.3}), ("lora", {"r": 2})],
        [("swa", {"start": 0.3}), ("lora", {"r": 2, "dropout": 0.2})],
    ],
    ids=lambda pairs: "+".join(name for name, _ in pairs),
)
def test_training_changes_targets_by_rank_r_and_nothing_else_but_the_head(
    fine_tune_tiny: FineTune, tiny_model: Path, stabilizers: list[tuple[str, dict[str, Any]]]
) -> None:
    """A mean of merged weights would have a higher rank: averages are of the adapters."""
    start = loaded(tiny_model)

    found = changes(fine_tune_tiny(stabilizers), start)

    block_of = anatomy(start).block_of
    targets = {name: change for name, change in found.items() if block_of[name] != "head"}
    assert {name.split(".")[-2] for name in targets} == {"query", "value"}
    assert len(targets) == 4
    for change in targets.values():
        values = np.linalg.svd(change, compute_uv=False)
        assert values[1] > 1e-6
        assert values[2] < 1e-5 * values[0] + 1e-7, "the change has a rank above 2"
    assert {block_of[name] for name in set(found) - set(targets)} == {"head"}


def test_an_average_of_adapters_is_not_the_last_ones(fine_tune_tiny: FineTune) -> None:
    runs = [fine_tune_tiny(s) for s in ([("lora", {})], [("lora", {}), ("ema", {})], [("ema", {}), ("lora", {})])]

    last, first_order, second_order = (run.details["weights"] for run in runs)

    assert first_order == second_order != last


def test_traces_and_probes_group_the_adapters_gradients_by_block(fine_tune_tiny: FineTune) -> None:
    result = fine_tune_tiny([("lora", {})])

    assert result.subject.folder is not None
    trace = np.load(result.subject.folder.parent / "trace.npz")
    assert list(trace["blocks"]) == ["embeddings", "block.0", "block.1", "pooler", "head"]
    for norms in (trace["raw_norm"], trace["probe_norm"]):
        assert (norms[:, [0, 3]] == 0).all()
        assert (norms[:, [1, 2, 4]] > 0).all()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout_of_adapters_shifts_no_mask_of_the_model(fine_tune_tiny: FineTune, dropout: float) -> None:
    plain = fine_tune_tiny().details["hashes"]

    adapted = fine_tune_tiny([("lora", {"dropout": dropout})]).details

    assert adapted["hashes"]["dropout"] == plain["dropout"]
    assert adapted["weights"] == fine_tune_tiny([("lora", {"dropout": dropout})]).details["weights"]


def test_adapter_dropout_acts(fine_tune_tiny: FineTune) -> None:
    weights = [fine_tune_tiny([("lora", {"dropout": p})]).details["weights"] for p in (0.0, 0.3)]

    assert weights[0] != weights[1]


@pytest.mark.parametrize(
    "other", ["fgm", "r_drop", "layerwise_decay", "agc", "auto_clip", "label_smoothing", "augment"]
)
def test_it_works_beside_others(fine_tune_tiny: FineTune, other: str) -> None:
    weights = {fine_tune_tiny(pair).details["weights"] for pair in ([("lora", {})], [("lora", {}), (other, {})])}

    assert len(weights) == 2


def test_it_trains_in_bf16(fine_tune_tiny: FineTune) -> None:
    assert (
        fine_tune_tiny([("lora", {"targets": "all"})], precision="bf16").details["failed_reason"] != "non-finite loss"
    )


def test_a_kind_of_model_whose_queries_are_not_known_is_refused_and_all_works() -> None:
    def model() -> nn.Module:
        return DistilBertForSequenceClassification(
            DistilBertConfig(vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=32)
        )

    with pytest.raises(ConfigurationError, match="'distilbert'; choose targets: all"):
        prepared(model())
    adapted = model()
    prepared(adapted, targets="all")
    names = {name.split(".lora_")[0].rpartition(".")[2] for name, _ in adapted.named_parameters() if "lora_" in name}
    assert names == {"q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2"}


@pytest.mark.parametrize("name", ["lora", "adalora"])
def test_without_peft_the_error_names_the_extra(
    name: str, fine_tune_tiny: FineTune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)

    with pytest.raises(ConfigurationError, match=rf"'{name}' needs the package 'peft': pip install stabbench\[peft\]"):
        fine_tune_tiny([(name, {})])
