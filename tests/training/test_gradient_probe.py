"""The gradient probe: the mean gradient of plain cross-entropy, per block, the same however it is batched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.data.example import Example
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained, state_hash
from stabbench.seeding import TrialSeeds
from stabbench.training.gradient_probe import GradientProbe, fixed_sample

EXAMPLES = [Example(f"t:{i}", "the film was good " * (1 + i % 4), i % 2) for i in range(40)]


@pytest.fixture
def loaded(tiny_model: Path) -> tuple[nn.Module, Any]:
    return load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))


def test_norms_equal_those_of_one_plain_backward_pass(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    chosen = fixed_sample(EXAMPLES, 20, "gradient-probe")

    found = GradientProbe(EXAMPLES, tokenizer, 32, size=20).norms(model)

    model.eval()
    inputs = tokenizer([e.text for e in chosen], padding=True, return_tensors="pt")
    log_p = torch.log_softmax(model(**inputs).logits, dim=-1)
    (-log_p[range(20), [e.label for e in chosen]].mean()).backward()
    parts = anatomy(model)
    expected = [
        np.sqrt(sum(float((p.grad.double() ** 2).sum()) for n, p in model.named_parameters()
                    if parts.block_of[n] == block and p.grad is not None))
        for block in parts.block_names
    ]  # fmt: skip
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3)


def test_it_changes_neither_weights_nor_gradients_nor_mode_nor_random_state(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    probe, before, state = GradientProbe(EXAMPLES, tokenizer, 32), state_hash(model), torch.get_rng_state()

    first, second = probe.norms(model.train()), probe.norms(model)

    assert torch.equal(first, second)
    assert (state_hash(model), model.training) == (before, True)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


def test_the_sample_does_not_depend_on_the_order_of_the_examples() -> None:
    forward, backward = (fixed_sample(items, 8, "x") for items in (EXAMPLES, EXAMPLES[::-1]))

    assert forward == backward
    assert forward != fixed_sample(EXAMPLES, 8, "y")
    assert len(fixed_sample(EXAMPLES, 99, "x")) == 40


def test_frozen_parameters_count_as_zero(loaded: tuple[nn.Module, Any]) -> None:
    model, tokenizer = loaded
    for parameter in anatomy(model).embeddings.parameters():
        parameter.requires_grad_(False)

    norms = GradientProbe(EXAMPLES, tokenizer, 32).norms(model)

    assert norms[0] == 0
    assert (norms[1:] > 0).all()
