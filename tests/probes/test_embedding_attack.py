"""Attacks on embeddings: the budget is kept by an independent norm, and one step is the closed form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stabbench.attacks.engine.embedding_space import EmbeddingAttack as Search
from stabbench.attacks.engine.embedding_space import FastGradient, LossGradient, ProjectedGradient
from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.models.subject import Subject, torch_logits
from stabbench.probes.base import Context
from stabbench.probes.embedding_attack import EmbeddingAttack
from stabbench.seeding import TrialSeeds

TEXTS = ["the film was good", "a dull story", "great", "the plot of the film was not so bad at all", "bad", "fine film"]
DATA = Dataset((), (), tuple(Example(f"t:{i}", text, i % 2) for i, text in enumerate(TEXTS)), ("no", "yes"), "")


@pytest.fixture
def subject(tiny_model: Path) -> Subject:
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    with torch.no_grad():
        model.classifier.weight.mul_(30.0)
    return Subject(tokenizer, torch_logits(model.eval()), ("no", "yes"), 32, model)


class Greedy(Search):
    """Breaks every rule: far beyond the budget, on padding too."""

    def propose(self, gradient: LossGradient, radius: Tensor, start: Tensor) -> Tensor:
        return torch.full_like(start, 1e6)


@pytest.mark.parametrize("search", [Greedy(), FastGradient(), ProjectedGradient(4)])
def test_no_search_can_leave_the_budget(subject: Subject, search: Search) -> None:
    model = subject.model
    assert model is not None
    batch = subject.encode(TEXTS)
    batch = type(batch)(batch.input_ids, batch.attention_mask, batch.token_type_ids, torch.tensor([0, 1] * 3))
    words = anatomy(model).word_embeddings
    with torch.no_grad():
        clean = words(batch.input_ids).numpy()
    norm = anatomy(model).embeddings.LayerNorm
    inside: list[np.ndarray] = []
    watch = norm.register_forward_pre_hook(lambda m, given: inside.append(given[0].detach().numpy()))
    search.attack(model, words, batch, 0.1)
    with torch.no_grad():
        model(**batch.inputs())
    watch.remove()

    # What reaches the layer norm under attack, less what reaches it clean, is the perturbation.
    delta = inside[-2] - inside[-1]
    mask = batch.attention_mask.numpy()[..., None]
    for row in range(len(TEXTS)):
        size = np.sqrt(((clean * mask)[row] ** 2).sum())
        assert np.sqrt((delta[row] ** 2).sum()) <= 0.1 * size * (1 + 1e-3)
        assert not (delta * (1 - mask))[row].any()


def test_one_step_is_the_gradient_scaled_to_the_radius(subject: Subject) -> None:
    model = subject.model
    assert model is not None
    batch = subject.encode(TEXTS[:1])
    batch = type(batch)(batch.input_ids, batch.attention_mask, batch.token_type_ids, torch.tensor([1]))

    found = FastGradient().attack(model, anatomy(model).word_embeddings, batch, 0.2)

    e = model.get_input_embeddings()(batch.input_ids).detach().requires_grad_()
    logits = model(inputs_embeds=e, attention_mask=batch.attention_mask).logits
    loss = -torch.log_softmax(logits, dim=-1)[0, 1]
    (g,) = torch.autograd.grad(loss, e)
    moved = e + 0.2 * e.norm() * g / g.norm()
    with torch.no_grad():
        expected = model(inputs_embeds=moved, attention_mask=batch.attention_mask).logits
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert all(p.grad is None for p in model.parameters())


def test_more_steps_and_larger_radii_never_find_less(subject: Subject, tmp_path: Path) -> None:
    probe = EmbeddingAttack(steps=(1, 10), radii=(0.001, 0.1, 1.0))
    measured = probe.measure(subject, Context(DATA, tmp_path))
    found = {(m.metric.split(".")[1], m.at["steps"], m.at["radius"]): m.value for m in measured}
    stored = np.load(tmp_path / "embedding_attack.npz")
    right = stored["clean"] == stored["label"]

    assert found["accuracy", 10, 1.0] <= found["accuracy", 10, 0.001]  # type: ignore[operator]
    assert found["accuracy", 10, 1.0] < right.mean()
    for s, steps in enumerate((1, 10)):
        for r, radius in enumerate((0.001, 0.1, 1.0)):
            astray = [ok and p != y for ok, p, y in zip(right, stored["predicted"][s, r], stored["label"], strict=True)]
            assert found["success_rate", steps, radius] == pytest.approx(sum(astray) / right.sum())
            assert found["accuracy", steps, radius] == pytest.approx((right.sum() - sum(astray)) / len(TEXTS))


def test_a_subject_without_torch_is_told(subject: Subject, tmp_path: Path) -> None:
    subject.model = None

    with pytest.raises(ConfigurationError, match="needs a torch model"):
        EmbeddingAttack().measure(subject, Context(DATA, tmp_path))
