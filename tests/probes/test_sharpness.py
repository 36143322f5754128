"""Sharpness against the whole Hessian of a small model, and on the tiny one against differences of gradients."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.loading import load_pretrained, load_subject, save_subject
from stabbench.models.subject import Subject
from stabbench.probes.base import Context
from stabbench.probes.sharpness import Loss, Sharpness, ascent, largest_eigenvalue
from stabbench.seeding import TrialSeeds


class Small(nn.Module):
    """A table of 6 words and a linear layer with tanh: 6·2 + 2·2 weights."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.table = nn.Parameter(torch.randn(6, 2, generator=generator))
        self.head = nn.Parameter(torch.randn(2, 2, generator=generator))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return SimpleNamespace(logits=torch.tanh(self.table[input_ids].mean(dim=1)) @ self.head)


def small() -> tuple[Loss, dict[str, Tensor]]:
    ids = torch.tensor([[0, 1, 2], [3, 4, 5], [0, 3, 1], [5, 5, 2]])
    batch = Batch(ids, torch.ones_like(ids), None, torch.tensor([0, 1, 1, 0]))
    model = Small()
    return Loss(model, batch), {name: p.detach() for name, p in model.named_parameters()}


def flat_hessian() -> np.ndarray:
    loss, weights = small()

    def of(table: Tensor, head: Tensor) -> Tensor:
        return loss({"table": table, "head": head})

    blocks = torch.autograd.functional.hessian(of, (weights["table"], weights["head"]))
    rows = [
        torch.cat([part.reshape(weights[name].numel(), -1) for part in row], dim=1)
        for name, row in zip(weights, blocks, strict=True)
    ]
    return torch.cat(rows).double().numpy()


def test_the_largest_eigenvalue_is_that_of_the_whole_hessian() -> None:
    loss, weights = small()
    values = np.linalg.eigvalsh(flat_hessian())
    largest = values[np.abs(values).argmax()]

    assert largest_eigenvalue(loss, weights, 500, 1e-7) == pytest.approx(largest, rel=1e-3)


def test_the_ascent_step_goes_along_the_gradient() -> None:
    loss, weights = small()
    leaves = {name: w.clone().requires_grad_() for name, w in weights.items()}
    loss(leaves).backward()
    size = math.sqrt(sum(float((w.grad**2).sum()) for w in leaves.values() if w.grad is not None))
    moved = {n: w.detach() + 0.3 / size * w.grad for n, w in leaves.items() if w.grad is not None}

    assert ascent(loss, weights, 0.3) == pytest.approx(float(loss(moved) - loss(weights)), rel=1e-4)
    assert ascent(loss, weights, 1e-3) == pytest.approx(1e-3 * size, rel=0.05), "to first order ρ‖g‖"


def test_what_is_flat_or_not_finite_has_a_defined_answer() -> None:
    loss, weights = small()
    flat = {name: torch.zeros_like(w) for name, w in weights.items()}
    broken = {name: torch.full_like(w, math.nan) for name, w in weights.items()}

    assert ascent(loss, flat, 0.1) == 0
    assert math.isnan(ascent(loss, broken, 0.1))
    assert math.isnan(largest_eigenvalue(loss, broken, 5, 1e-3))


@pytest.fixture(scope="module")
def subject(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("subject")
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, folder, ("no", "yes"), 16)
    return load_subject(folder)


def context(folder: Path) -> Context:
    examples = tuple(Example(f"t:{i}", f"the film was {w}", i % 2) for i, w in enumerate(["bad", "good", "dull"] * 3))
    return Context(Dataset(examples, (), examples, ("no", "yes"), "f"), folder)


def test_curvature_through_attention_is_the_difference_of_gradients(subject: Subject) -> None:
    """H·v ≈ (∇L(θ + hv) − ∇L(θ − hv)) / 2h, in double precision, where fused attention would refuse."""
    assert subject.model is not None
    batch = subject.encode([f"the film was {w}" for w in ("bad", "good", "very dull indeed")])
    labelled = Batch(batch.input_ids, batch.attention_mask, batch.token_type_ids, torch.tensor([0, 1, 0]))
    loss = Loss(subject.model, labelled)
    weights = {name: p.detach().double() for name, p in subject.model.named_parameters()}
    generator = torch.Generator().manual_seed(1)
    v = [torch.randn(w.shape, generator=generator, dtype=torch.float64) for w in weights.values()]
    h = 1e-4

    def at(sign: float) -> list[Tensor]:
        return loss.gradient({n: w + sign * h * d for (n, w), d in zip(weights.items(), v, strict=True)})

    expected = [(up - down) / (2 * h) for up, down in zip(at(1), at(-1), strict=True)]
    found = loss.curvature(weights, v)

    both = [torch.cat([part.flatten() for part in parts]) for parts in (found, expected)]
    assert float((both[0] - both[1]).norm() / both[1].norm()) < 0.02  # the loss itself is rounded to single precision


def test_it_measures_a_trained_classifier(subject: Subject, tmp_path: Path) -> None:
    sam, eigenvalue = Sharpness(examples=8).measure(subject, context(tmp_path))

    assert (sam.metric, eigenvalue.metric) == ("sharpness.sam", "sharpness.largest_eigenvalue")
    assert sam.value is not None
    assert sam.value > 0
    assert eigenvalue.value is not None
    assert math.isfinite(eigenvalue.value)
    assert (sam.n_used, sam.n_planned) == (8, 8)
    assert len(Sharpness(iterations=0).measure(subject, context(tmp_path))) == 1


def test_a_subject_without_a_torch_model_is_a_mistake(subject: Subject, tmp_path: Path) -> None:
    bare = Subject(subject.tokenizer, subject.logits, subject.classes, 16)

    with pytest.raises(ConfigurationError, match="torch model"):
        Sharpness().measure(bare, context(tmp_path))
