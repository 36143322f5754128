"""A fine-tuned-looking tiny classifier on disk, shared by the tests of compressors."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench.compression.base import Material
from stabbench.data.example import Example
from stabbench.models.loading import load_pretrained, load_subject, save_subject
from stabbench.models.subject import Subject
from stabbench.seeding import TrialSeeds


@pytest.fixture(scope="session")
def dense(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("dense")
    model, tokenizer = load_pretrained(tiny_model, ("no", "yes"), TrialSeeds(0, 0))
    save_subject(model, tokenizer, folder, ("no", "yes"), 32)
    return load_subject(folder)


@pytest.fixture(scope="session")
def material() -> Material:
    """Sixteen labelled training sentences."""
    words = ("good", "bad", "dull", "great", "boring", "funny", "long", "excellent")
    return Material(
        tuple(
            Example(f"t:{i}", f"the film was {word}{' and so on' * (i % 5)}", i % 2) for i, word in enumerate(words * 2)
        )
    )
