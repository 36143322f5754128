"""AdaLoRA against its equations: layer, regulariser, budget, and which singular values stay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.batch import Batch
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.adalora import Adalora
from stabbench.training.loop import cross_entropy
from stabbench.training.request import TrainResult

LAYER = "bert.encoder.layer.1.attention.self.value"
IDS = torch.arange(5, 37).view(4, 8)
LABELS = torch.tensor([0, 1, 1, 0])


def prepared(folder: Path, steps: int = 10, **options: Any) -> tuple[nn.Module, Adalora]:
    model = load_pretrained(folder, ("no", "yes"), TrialSeeds(0, 0))[0].eval()
    stabilizer = Adalora(**options)
    stabilizer.prepare_model(model, anatomy(model), TrialSeeds(0, 0), steps)
    return model, stabilizer


def triplet(model: nn.Module, layer: str = LAYER) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    named = dict(model.named_parameters())
    return tuple(named[f"{layer}.lora_{side}.default"].detach().numpy().copy() for side in "BEA")  # type: ignore[return-value]


def test_the_layer_adds_the_scaled_decomposition_and_merging_writes_it_into_the_weights(tiny_model: Path) -> None:
    """h = Wx + b + (α/r₀) P Λ Q x."""
    model, stabilizer = prepared(tiny_model, initial_rank=4, rank=2, alpha=6.0, targets="attention")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(name)))
    base = model.get_submodule(LAYER).base_layer  # type: ignore[union-attr]
    weight, bias = base.weight.detach().numpy().copy(), base.bias.detach().numpy().copy()  # type: ignore[union-attr, operator]
    p, values, q = triplet(model)
    x = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    expected = weight + 6.0 / 4 * p @ np.diag(values[:, 0]) @ q

    found = model.get_submodule(LAYER)(torch.tensor(x)).detach().numpy()
    stabilizer.finish_model(model)

    assert (p.shape, q.shape) == ((32, 4), (4, 32))
    np.testing.assert_allclose(found, x @ expected.T + bias, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(model.get_submodule(LAYER).weight.detach().numpy(), expected, rtol=1e-4, atol=1e-4)  # type: ignore[union-attr, operator]


def test_before_the_first_step_the_model_computes_the_same(tiny_model: Path) -> None:
    plain = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))[0].eval()

    model, _ = prepared(tiny_model)

    assert torch.equal(model(input_ids=IDS).logits, plain(input_ids=IDS).logits)


@pytest.mark.parametrize("legacy", [False, True])
def test_the_objective_adds_the_distance_of_p_and_q_from_orthogonal(tiny_model: Path, legacy: bool) -> None:
    """γ Σ (‖PᵀP − I‖²_F + ‖QQᵀ − I‖²_F); the released code has γ times the mean of ‖·‖_F."""
    model, stabilizer = prepared(
        tiny_model, initial_rank=4, rank=2, targets="attention", orthogonality=0.3, legacy_bug=legacy
    )
    distances = []
    for layer in (f"bert.encoder.layer.{i}.attention.self.{part}" for i in (0, 1) for part in ("query", "value")):
        p, _, q = triplet(model, layer)
        distances += [np.linalg.norm(p.T @ p - np.eye(4)), np.linalg.norm(q @ q.T - np.eye(4))]
    penalty = np.mean(distances) if legacy else np.sum(np.square(distances))

    def forward(batch: Batch, draw: int = 0) -> Tensor:
        return model(**batch.inputs()).logits  # type: ignore[no-any-return]

    batch = Batch(IDS, torch.ones_like(IDS), labels=LABELS)
    objective = stabilizer.wrap_loss(cross_entropy)(forward, batch)

    plain = float(nn.functional.cross_entropy(forward(batch), LABELS).detach())
    assert float(objective.total.detach()) == pytest.approx(plain + 0.3 * penalty, rel=1e-5)
    assert float(objective.cross_entropy.detach()) == pytest.approx(plain, rel=1e-6), "the trace keeps the plain loss"


def budget(step: int, first: int, last: int, start: int, end: int) -> int:
    """b(t) for t = 1 … T: start, then cubically down to end between `first` and `last`, then end."""
    if step <= first:
        return start
    if step >= last:
        return end
    return int(end + (start - end) * (1 - (step - first) / (last - first)) ** 3)


def test_the_values_that_stay_are_the_most_important_within_the_budget(tiny_model: Path) -> None:
    """Importance of a triplet: s(λ) + mean s(P) + mean s(Q), s = Ī·Ū of |w ∂L/∂w| smoothed with β (Algorithm 1)."""
    beta, steps, first, last = 0.85, 12, 2, 9
    model, stabilizer = prepared(
        tiny_model, steps, initial_rank=4, rank=1, targets="attention", hold=2 / 12, settle=3 / 12, beta=beta
    )
    adapters = {name: p for name, p in model.named_parameters() if "lora_" in name}
    optimizer = torch.optim.SGD(adapters.values(), lr=3.0)
    names = sorted({name.split(".lora_")[0] for name in adapters})
    mean = {name: np.zeros(p.shape) for name, p in adapters.items()}
    spread = {name: np.zeros(p.shape) for name, p in adapters.items()}
    fixed = None
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(input_ids=IDS).logits, LABELS).backward()
        optimizer.step()
        if step < last:
            for name, p in adapters.items():
                assert p.grad is not None
                now = np.abs(p.detach().numpy() * p.grad.numpy()).astype(float)
                mean[name] = beta * mean[name] + (1 - beta) * now
                spread[name] = beta * spread[name] + (1 - beta) * np.abs(now - mean[name])
        scores = []
        for layer in names:
            b, e, a = (mean[f"{layer}.lora_{s}.default"] * spread[f"{layer}.lora_{s}.default"] for s in "BEA")
            scores.append(e[:, 0] + b.mean(axis=0) + a.mean(axis=1))
        kept = budget(step, first, last, 16, 4)
        order = np.argsort(np.concatenate(scores))[::-1][:kept]

        stabilizer.on_step(model, step - 1)

        alive = np.concatenate([adapters[f"{layer}.lora_E.default"].detach().numpy()[:, 0] for layer in names]) != 0
        assert alive.sum() == kept, f"step {step}"
        if step <= last:
            assert set(np.flatnonzero(alive)) == set(order), f"step {step}"
            fixed = alive
        else:
            np.testing.assert_array_equal(alive, fixed, err_msg="the chosen values stay in the last phase")


def test_the_trained_change_has_the_final_budget_as_its_rank(
    fine_tune_tiny: Callable[..., TrainResult], tiny_model: Path
) -> None:
    start = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))[0]

    result = fine_tune_tiny([("adalora", {"initial_rank": 4, "rank": 2})], epochs=5)

    assert result.subject.model is not None
    ranks = []
    for (name, end), begin in zip(result.subject.model.named_parameters(), start.parameters(), strict=True):
        if "encoder.layer" in name and end.dim() == 2:
            values = np.linalg.svd((end - begin).detach().numpy(), compute_uv=False)
            ranks.append(int((values > 1e-6).sum()))
        elif not name.startswith("classifier"):
            assert torch.equal(end, begin), name
    assert len(ranks) == 12
    assert 0 < sum(ranks) <= 2 * 12
    assert max(ranks) <= 4


def test_ranks_that_do_not_fall_are_refused(tiny_model: Path) -> None:
    with pytest.raises(ConfigurationError, match="rank 8 must be below initial_rank 8"):
        prepared(tiny_model, initial_rank=8, rank=8)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_very_few_steps_works(tiny_model: Path, steps: int) -> None:
    model, stabilizer = prepared(tiny_model, steps, hold=0.49, settle=0.49)
    for step in range(steps):
        nn.functional.cross_entropy(model(input_ids=IDS).logits, LABELS).backward()
        stabilizer.on_step(model, step)
    stabilizer.finish_model(model)

    assert not [name for name, _ in model.named_parameters() if "lora" in name]


def test_it_trains_in_bf16(fine_tune_tiny: Callable[..., TrainResult]) -> None:
    assert fine_tune_tiny([("adalora", {})], precision="bf16").details["failed_reason"] != "non-finite loss"
