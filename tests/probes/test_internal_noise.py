"""Noise inside the model against independent computations on the tiny model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stabbench.data.example import Dataset, Example
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.loading import load_pretrained
from stabbench.models.subject import Subject, torch_logits
from stabbench.probes.base import Context
from stabbench.probes.internal_noise import InternalNoise
from stabbench.seeding import TrialSeeds, derive

TEXTS = ["the film was good", "a dull story", "great", "the plot of the film was not so bad at all"]
DATA = Dataset((), (), tuple(Example(f"t:{i}", text, i % 2) for i, text in enumerate(TEXTS)), ("no", "yes"), "")


@pytest.fixture
def subject(tiny_model: Path) -> Subject:
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    with torch.no_grad():
        model.classifier.weight.mul_(30.0)
    return Subject(tokenizer, torch_logits(model.eval()), ("no", "yes"), 32, model)


def values(subject: Subject, folder: Path, **options: Any) -> dict[tuple[Any, ...], float | None]:
    folder.mkdir(exist_ok=True)
    measured = InternalNoise(**{"draws": 3, **options}).measure(subject, Context(DATA, folder))
    return {(m.metric.split(".")[1], *m.at.values()): m.value for m in measured}


def test_embedding_noise_equals_adding_it_to_the_inputs_one_text_at_a_time(subject: Subject, tmp_path: Path) -> None:
    found = values(subject, tmp_path, kinds=("embedding",), embedding_levels=(0.5,), draws=1)

    model = subject.model
    assert model is not None
    moved, flips = [], []
    for example in DATA.test:
        batch = subject.encode([example.text])
        e = model.get_input_embeddings()(batch.input_ids)
        generator = torch.Generator().manual_seed(derive("internal-noise", 0, example.id, 0))
        noise = torch.randn(e.shape[1], e.shape[2], generator=generator)
        noisy = e + 0.5 * torch.linalg.vector_norm(e, dim=2, keepdim=True) / np.sqrt(e.shape[2]) * noise
        with torch.no_grad():
            p = [
                model(inputs_embeds=x, attention_mask=batch.attention_mask).logits.double().softmax(-1)[0].numpy()
                for x in (e, noisy)
            ]
        moved.append(0.5 * np.abs(p[1] - p[0]).sum())
        flips.append(p[0].argmax() != p[1].argmax())
    assert found["probability_change", "embedding", 0.5] == pytest.approx(np.mean(moved), abs=1e-6)
    assert found["flip_rate", "embedding", 0.5] == np.mean(flips)


def test_weight_noise_has_the_declared_size_and_leaves_the_model_as_it_was(subject: Subject, tmp_path: Path) -> None:
    model = subject.model
    assert model is not None
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    seen: dict[str, torch.Tensor] = {}
    original = model.forward

    def spy(*arguments: Any, **given: Any) -> Any:
        seen.update({name: p.detach().clone() for name, p in model.named_parameters()})
        return original(*arguments, **given)

    model.forward = spy
    values(subject, tmp_path, kinds=("weight",), weight_levels=(0.1,), draws=1)
    del model.forward

    for name, p in before.items():
        change = seen[name] - p
        if p.dim() > 1 and p.numel() > 500:
            assert float(change.std() / p.std()) == pytest.approx(0.1, rel=0.1)
        elif p.dim() == 1:
            assert not change.any()
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_hidden_noise_has_the_declared_norm_and_its_error_is_measured_above(subject: Subject, tmp_path: Path) -> None:
    found = values(subject, tmp_path, kinds=("hidden",), hidden_level=0.05, draws=1)
    model = subject.model
    assert model is not None
    blocks = anatomy(model).blocks

    errors: list[list[float]] = []
    for example in DATA.test:
        batch = subject.encode([example.text])
        with torch.no_grad():
            states = model(**batch.inputs(), output_hidden_states=True)
            h = states.hidden_states[1]
            generator = torch.Generator().manual_seed(derive("internal-noise", 0, example.id, 0))
            n = torch.randn(h.shape[1], h.shape[2], generator=generator)
            n = n * 0.05 * h.norm() / n.norm()
            mask = model.get_extended_attention_mask(batch.attention_mask, batch.attention_mask.shape)
            above = blocks[1](h + n, mask)
            above = above if isinstance(above, torch.Tensor) else above[0]
            logits = model.classifier(model.dropout(model.bert.pooler(above)))
        top = states.hidden_states[2]
        errors.append(
            [float((above - top).norm() / top.norm()), float((logits - states.logits).norm() / states.logits.norm())]
        )
    mean = np.mean(errors, axis=0)
    assert found["layer_error", "hidden", 0, 1] == pytest.approx(mean[0], rel=1e-4)
    assert found["layer_error", "hidden", 0, "logits"] == pytest.approx(mean[1], rel=1e-4)


def test_more_noise_moves_probabilities_more(subject: Subject, tmp_path: Path) -> None:
    found = values(subject, tmp_path, embedding_levels=(0.01, 0.1, 1.0), weight_levels=(0.001, 0.01, 0.1))

    for kind, levels in (("embedding", (0.01, 0.1, 1.0)), ("weight", (0.001, 0.01, 0.1))):
        moved = [found["probability_change", kind, level] for level in levels]
        assert moved == sorted(moved)  # type: ignore[type-var]
        assert moved[0] != moved[2]
        assert found["worst_accuracy", kind, levels[2]] <= found["accuracy", kind, levels[2]]  # type: ignore[operator]


def test_rows_do_not_depend_on_the_other_texts(subject: Subject, tmp_path: Path) -> None:
    whole = InternalNoise(kinds=("embedding",), draws=2)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole.measure(subject, Context(DATA, tmp_path / "a"))
    fewer = Dataset((), (), DATA.test[1:3], DATA.classes, "")
    whole.measure(subject, Context(fewer, tmp_path / "b"))

    a, b = (np.load(tmp_path / name / "internal_noise.npz") for name in "ab")
    place = [a["example"].tolist().index(name) for name in b["example"].tolist()]
    assert np.array_equal(a["predicted_embedding"][:, :, place], b["predicted_embedding"])


def test_a_block_that_is_not_there_and_a_subject_without_torch_are_told(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hidden_block: 7, but the model has blocks 0 to 1"):
        InternalNoise(hidden_block=7).measure(subject, Context(DATA, tmp_path))
    subject.model = None
    with pytest.raises(ConfigurationError, match="needs a torch model"):
        InternalNoise().measure(subject, Context(DATA, tmp_path))
