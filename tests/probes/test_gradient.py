"""The gradient probe against one backward pass of plain torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.models.subject import Subject, torch_logits
from stabbench.probes.base import Context
from stabbench.probes.gradient import Gradient
from stabbench.seeding import TrialSeeds
from stabbench.training.gradient_probe import EXAMPLES

TRAIN = tuple(Example(f"t:{i}", "the film was " + word, i % 2) for i, word in enumerate(["good", "bad", "dull"] * 3))

TEST = tuple(Example(f"u:{i}", "some story " + word, i % 2) for i, word in enumerate(["long", "short", "new"] * 3))


def _subject(tiny_model: Path) -> Subject:
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    return Subject(tokenizer, torch_logits(model.eval()), ("no", "yes"), 16, model)


@pytest.mark.parametrize("split", ["train", "test"])
def test_norms_equal_those_of_one_backward_pass_of_the_mean_loss(tiny_model: Path, tmp_path: Path, split: str) -> None:
    subject = _subject(tiny_model)
    dataset = Dataset(TRAIN if split == "train" else (), (), TEST, ("no", "yes"), "")
    used = TRAIN if split == "train" else TEST

    measured = Gradient().measure(subject, Context(dataset, tmp_path))

    found = {m.at.get("block"): m.value for m in measured}
    model = subject.model
    assert model is not None
    batch = subject.encode([example.text for example in used])
    loss = torch.nn.functional.cross_entropy(
        model(**batch.inputs()).logits, torch.tensor([example.label for example in used])
    )
    loss.backward()  # type: ignore[no-untyped-call]
    parts = anatomy(model)
    expected = dict.fromkeys(parts.block_names, 0.0)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            expected[parts.block_of[name]] += float(parameter.grad.double().square().sum())
    for block, square in expected.items():
        assert found[block] == pytest.approx(np.sqrt(square), rel=1e-4)
    assert found[None] == pytest.approx(np.sqrt(sum(expected.values())), rel=1e-4)
    assert all((m.n_used, m.n_planned) == (9, EXAMPLES) for m in measured)
    with np.load(tmp_path / "gradient.npz") as stored:
        assert stored["blocks"].tolist() == list(parts.block_names)
        np.testing.assert_allclose(stored["norm"], [found[block] or 0.0 for block in parts.block_names])


def test_no_gradient_is_left_on_the_model(tiny_model: Path, tmp_path: Path) -> None:
    subject = _subject(tiny_model)

    Gradient().measure(subject, Context(Dataset(TRAIN, (), TRAIN, ("no", "yes"), ""), tmp_path))

    assert subject.model is not None
    assert all(parameter.grad is None for parameter in subject.model.parameters())
    assert not subject.model.training


def test_a_subject_without_a_torch_model_is_a_clear_error(tiny_model: Path, tmp_path: Path) -> None:
    subject = _subject(tiny_model)
    subject.model = None

    with pytest.raises(ConfigurationError, match="needs a torch model"):
        Gradient().measure(subject, Context(Dataset(TRAIN, (), TRAIN, ("no", "yes"), ""), tmp_path))
