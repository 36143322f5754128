"""A tiny fine-tuned classifier, a collapsed one, and sentences to audit them on."""

from __future__ import annotations

from pathlib import Path

import pytest
from auditing_texts import write_texts

CLASSES = ("bad", "good")


@pytest.fixture(scope="session")
def checkpoints(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """``good`` has learnt something, ``flat`` always gives one answer; their classes are bad and good."""
    from stabbench.data.builtin import tiny_sentences
    from stabbench.data.example import Dataset, Example
    from stabbench.seeding import TrialSeeds
    from stabbench.suite.schema import TrainOptions
    from stabbench.training.fine_tune import fine_tune
    from stabbench.training.request import TrainRequest

    rows = [row for _, row in tiny_sentences()[0][:300]]
    examples = tuple(Example(f"t:{i}", row.text, CLASSES.index(row.label)) for i, row in enumerate(rows))
    data = Dataset(examples, (), examples[:20], CLASSES, "fingerprint")
    found = {}
    for name, rate in (("good", 5e-3), ("flat", 1e-9)):
        folder = tmp_path_factory.mktemp(name)
        train = TrainOptions(epochs=4, batch_size=8, learning_rate=rate, max_length=32, precision="fp32")
        fine_tune(TrainRequest(tiny_model, data, train, TrialSeeds(0, 0), folder, monitors={}))
        found[name] = folder / "model"
    return found


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """120 labelled sentences."""
    return write_texts(tmp_path / "texts.tsv")
