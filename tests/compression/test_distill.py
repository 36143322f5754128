"""distill: its losses against NumPy and scipy, its start, and that it learns from the teacher."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from torch import nn

from stabbench.compression._artifact import load_model
from stabbench.compression._recovery import Teaching, hidden_loss, relation_loss, soft_label_loss, teach
from stabbench.compression.base import Material
from stabbench.compression.distill import Distill
from stabbench.compression.drop_layers import DropLayers
from stabbench.errors import StabbenchError
from stabbench.models.loading import state_hash
from stabbench.models.subject import Subject
from stabbench.seeding import TrialSeeds

GENERATOR = np.random.default_rng(5)


def test_soft_labels_are_hintons_divergence() -> None:
    student, teacher = GENERATOR.normal(size=(2, 7, 3))

    found = soft_label_loss(torch.from_numpy(student), torch.from_numpy(teacher), 3.0)

    each = [entropy(softmax(t / 3), softmax(s / 3)) for s, t in zip(student, teacher, strict=True)]
    assert float(found) == pytest.approx(9 * np.mean(each), rel=1e-9)
    assert float(soft_label_loss(torch.from_numpy(teacher), torch.from_numpy(teacher), 2.0)) == pytest.approx(0)


def test_hidden_states_are_compared_on_real_tokens_only() -> None:
    pairs = [tuple(GENERATOR.normal(size=(2, 2, 4, 6))) for _ in range(2)]
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]])

    found = hidden_loss([(torch.from_numpy(a), torch.from_numpy(b)) for a, b in pairs], torch.from_numpy(mask))

    want = np.mean([np.mean((a - b)[mask == 1] ** 2) for a, b in pairs])
    assert float(found) == pytest.approx(want, rel=1e-6)


def test_relations_are_the_divergence_of_scaled_products_on_real_tokens() -> None:
    student, teacher = GENERATOR.normal(size=(2, 2, 4, 6))
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]])

    found = relation_loss([(torch.from_numpy(student), torch.from_numpy(teacher))], torch.from_numpy(mask), heads=2)

    rows = []
    for text in range(2):
        n = mask[text].sum()
        for head in range(2):
            s, t = (x[text, :n, 3 * head : 3 * head + 3] for x in (student, teacher))
            log_s, log_t = (log_softmax(x @ x.T / np.sqrt(3), axis=-1) for x in (s, t))
            rows += list((np.exp(log_t) * (log_t - log_s)).sum(axis=-1))
    assert float(found) == pytest.approx(np.mean(rows), rel=1e-5)


def test_the_student_is_taught_the_teachers_answers(dense: Subject, material: Material, tmp_path: Path) -> None:
    """With α = 0 labels do not count: the student must come nearer to the teacher than the layers it starts from."""
    texts = material.texts(16)
    wanted = dense.probabilities(texts)
    (tmp_path / "start").mkdir()
    (tmp_path / "end").mkdir()
    DropLayers(0.5, recover_epochs=0).compress(dense, material, tmp_path / "start")
    Distill(0.5, epochs=60, learning_rate=3e-3, alpha=0.0).compress(dense, material, tmp_path / "end")

    start, end = (np.abs(load_model(tmp_path / n).probabilities(texts) - wanted).mean() for n in ("start", "end"))

    assert end < start / 2


def test_labels_win_where_only_they_count(dense: Subject, material: Material, tmp_path: Path) -> None:
    Distill(0.5, epochs=60, learning_rate=5e-3, alpha=1.0, hidden=0.0).compress(dense, material, tmp_path)

    found = load_model(tmp_path).probabilities(material.texts(16))

    labels = [example.label for example in material.examples]
    assert np.mean(found.argmax(axis=1) == labels) > 0.8


def test_the_same_seed_gives_the_same_student_and_another_another(
    dense: Subject, material: Material, tmp_path: Path
) -> None:
    hashes = []
    for index, seeds in enumerate((TrialSeeds(0, 0), TrialSeeds(0, 0), TrialSeeds(1, 1))):
        folder = tmp_path / str(index)
        folder.mkdir()
        Distill(epochs=1).compress(dense, Material(material.examples, seeds), folder)
        model = load_model(folder).model
        assert model is not None
        hashes.append(state_hash(model))
    assert hashes[0] == hashes[1] != hashes[2]


def test_training_that_diverges_and_training_without_texts_are_errors(dense: Subject, material: Material) -> None:
    student = load_copy(dense)
    with pytest.raises(StabbenchError, match="no training examples"):
        teach(student, dense, [0, 1], Material(), Teaching(1, 1e-4))
    with torch.no_grad():
        next(student.parameters())[:] = torch.nan
    with pytest.raises(StabbenchError, match="diverged"):
        teach(student, dense, [0, 1], material, Teaching(1, 1e-4))


def test_no_epochs_change_nothing(dense: Subject, material: Material) -> None:
    student = load_copy(dense)
    teach(student, dense, [0, 1], material, Teaching(0, 1e-4))
    assert dense.model is not None
    assert state_hash(student) == state_hash(dense.model)


def load_copy(dense: Subject) -> nn.Module:
    assert dense.folder is not None
    model = load_model(dense.folder).model
    assert model is not None
    return model
