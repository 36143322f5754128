"""FGM against its equations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stabbench.models.anatomy import anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._embeddings import perturbation
from stabbench.stabilizers.base import Objective
from stabbench.stabilizers.fgm import Fgm


def test_every_example_is_moved_by_epsilon_along_its_own_gradient() -> None:
    """δ = ε g/‖g‖₂ with the norm over (T, H) of one example, Miyato et al. 2017 (5)."""
    gradient = np.random.default_rng(0).normal(size=(3, 4, 5)) * np.array([1, 10, 100]).reshape(3, 1, 1)

    found = perturbation(torch.tensor(gradient), 0.3).numpy()

    for moved, g in zip(found, gradient, strict=True):
        np.testing.assert_allclose(moved, 0.3 * g / np.sqrt((g**2).sum()), rtol=1e-9)


def test_a_gradient_of_zero_moves_nothing() -> None:
    assert torch.equal(perturbation(torch.zeros(1, 2, 3), 1.0), torch.zeros(1, 2, 3))


@pytest.fixture
def parts(tiny_model_without_dropout: Path) -> tuple[nn.Module, Batch]:
    model, tokenizer = load_pretrained(tiny_model_without_dropout, ("no", "yes"), TrialSeeds(0, 0))
    encoded = encode_texts(tokenizer, ["good", "the film was dull and long"], 16)
    return model, collate(encoded, tokenizer, [1, 0])


def loss_of(model: nn.Module, batch: Batch, moved: Tensor | None = None) -> Tensor:
    """Return the cross-entropy with word embeddings moved by `moved`, by the model's own entrance for embeddings."""
    embeddings = anatomy(model).word_embeddings(batch.input_ids)
    inputs = {k: v for k, v in batch.inputs().items() if k != "input_ids"}
    logits = model(inputs_embeds=embeddings if moved is None else embeddings + moved, **inputs).logits
    return nn.functional.cross_entropy(logits, batch.labels)


def test_gradients_are_the_sum_of_a_clean_and_an_adversarial_pass(parts: tuple[nn.Module, Batch]) -> None:
    model, batch = parts
    delta = torch.zeros(*batch.input_ids.shape, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss_of(model, batch, delta), delta)
    assert torch.equal(gradient[0, 3:], torch.zeros_like(gradient[0, 3:])), "padding has no gradient"
    moved = 2.0 * gradient / gradient.flatten(1).norm(dim=1).view(-1, 1, 1)
    expected = torch.autograd.grad(loss_of(model, batch) + loss_of(model, batch, moved), list(model.parameters()))

    stabilizer = Fgm(epsilon=2.0)
    stabilizer.prepare_model(model, anatomy(model), TrialSeeds(0, 0), 1)

    def backward(draw: int = 0, scale: float = 1.0) -> Objective:
        loss = nn.functional.cross_entropy(model(**batch.inputs()).logits, batch.labels)
        (loss * scale).backward()
        return Objective(loss.detach(), loss.detach(), loss.detach())

    clean = stabilizer.wrap_backward(backward)()
    stabilizer.finish_model(model)

    torch.testing.assert_close([p.grad for p in model.parameters()], list(expected), rtol=1e-3, atol=1e-6)
    assert float(clean.total) == pytest.approx(float(loss_of(model, batch).detach()), rel=1e-5), (
        "the clean loss is reported"
    )


def test_small_moves_raise_the_loss(parts: tuple[nn.Module, Batch]) -> None:
    model, batch = parts
    delta = torch.zeros(*batch.input_ids.shape, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss_of(model, batch, delta), delta)

    moved = loss_of(model, batch, perturbation(gradient, 0.05))

    assert moved > loss_of(model, batch)
