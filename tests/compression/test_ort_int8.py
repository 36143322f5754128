"""ort-int8: the graph is checked before it is quantised, and what it is made from is left alone."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor

from stabbench.compression._onnx import check_parity
from stabbench.compression.base import Material
from stabbench.compression.ort_int8 import OrtInt8
from stabbench.errors import StabbenchError
from stabbench.models.batch import Batch
from stabbench.models.subject import Subject


@pytest.fixture(scope="module")
def artifact(dense: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    OrtInt8().compress(dense, Material(), folder)
    return folder


def _initializers(artifact: Path) -> dict[str, np.ndarray]:
    graph = onnx.load(artifact / "model.onnx").graph
    return {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}


def test_matrices_and_embeddings_are_int8_with_a_scale_per_output_channel(dense: Subject, artifact: Path) -> None:
    tensors = _initializers(artifact)
    integers = [value for value in tensors.values() if value.dtype == np.int8 and value.ndim == 2]
    scales = [value for name, value in tensors.items() if name.endswith("_scale") and value.ndim == 1]

    vocabulary = len(dense.tokenizer)
    tables = [value for value in tensors.values() if value.dtype in (np.int8, np.uint8)]
    assert any(value.shape == (vocabulary, 32) for value in tables)
    assert sum(value.shape == (32, 32) for value in integers) >= 2 * 4
    assert any(len(value) == 64 for value in scales)


@pytest.mark.parametrize("texts", [["dull"], ["a"] * 5, ["this is a much longer text than the one exported"] * 3])
def test_any_batch_and_length_is_accepted_and_stays_near_the_dense_model(
    dense: Subject, artifact: Path, texts: list[str]
) -> None:
    compressed = OrtInt8().load(artifact)
    batch = dense.encode(texts)

    found = compressed.logits(batch)

    assert found.shape == (len(texts), 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, dense.logits(batch), rtol=0, atol=0.02)


def test_a_graph_that_differs_from_the_model_is_refused(dense: Subject) -> None:
    def off_by(amount: float) -> Subject:
        def score(batch: Batch) -> Tensor:
            return dense.logits(batch) + amount

        return Subject(dense.tokenizer, score, dense.classes, dense.max_length)

    check_parity(dense, off_by(0.0005).logits, ["a", "a film"], "onnx")
    with pytest.raises(StabbenchError, match=r"onnx: .* differs from the model by 0\.002"):
        check_parity(dense, off_by(0.002).logits, ["a", "a film"], "onnx")


def test_the_export_leaves_no_handler_on_the_root_logger(dense: Subject, tmp_path: Path) -> None:
    before = list(logging.root.handlers)

    OrtInt8().compress(dense, Material(), tmp_path)

    assert logging.root.handlers == before
