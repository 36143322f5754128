"""Chains of compressors, and what a diverged model becomes."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from stabbench import registry
from stabbench.compression.base import DIVERGED, compress, load_compressed
from stabbench.errors import ConfigurationError
from stabbench.models.subject import Subject, torch_logits


def test_a_stage_that_needs_torch_says_so_after_one_that_leaves_it(dense: Subject, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"'ort-int8' needs a float32 torch model.*Put 'ort-int8' first"):
        compress("int8-dynamic+ort-int8", dense, [], tmp_path)


@pytest.mark.parametrize("name", registry.names("compression"))
def test_a_diverged_model_gives_a_subject_that_answers_nan(name: str, dense: Subject, tmp_path: Path) -> None:
    model = copy.deepcopy(dense.model)
    assert model is not None
    with torch.no_grad():
        next(model.parameters())[0, 0] = torch.nan
    diverged = Subject(dense.tokenizer, torch_logits(model), dense.classes, dense.max_length, model)

    compress(name, diverged, [], tmp_path)
    probabilities = load_compressed(name, tmp_path, diverged).probabilities(["a film", "dull"])

    assert [file.name for file in tmp_path.iterdir()] == [DIVERGED]
    assert probabilities.shape == (2, 2)
    assert np.isnan(probabilities).all()
