"""The last block's rows that nobody reads are left out of a graph, and nothing else changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from stabbench.compression._first_token import first_token_only
from stabbench.compression._onnx import export, session_logits
from stabbench.models.subject import Subject

TEXTS = ["a film", "the plot is poor but the people are good and I like them", "no"]


@pytest.fixture(scope="module")
def graphs(dense: Subject, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The graph as exported, and rewritten."""
    folder = tmp_path_factory.mktemp("graphs")
    assert dense.model is not None
    export(dense.model, dense.encode(TEXTS[:2]), folder / "whole.onnx")
    shutil.copy(folder / "whole.onnx", folder / "less.onnx")
    assert first_token_only(folder / "less.onnx") > 0
    return folder / "whole.onnx", folder / "less.onnx"


@pytest.mark.parametrize("texts", [TEXTS[:1], TEXTS, [""], TEXTS * 3])
def test_the_logits_are_the_same_at_any_batch_and_length(
    texts: list[str], graphs: tuple[Path, Path], dense: Subject
) -> None:
    batch = dense.encode(texts)
    whole, less = (session_logits(path)(batch).numpy() for path in graphs)

    np.testing.assert_allclose(less, whole, rtol=0, atol=1e-6)
    np.testing.assert_allclose(less, dense.logits(batch).numpy(), rtol=0, atol=1e-5)


def test_the_last_blocks_feed_forward_part_sees_one_row_and_the_others_all(
    graphs: tuple[Path, Path], dense: Subject, tmp_path: Path
) -> None:
    model = onnx.load(str(graphs[1]))
    matrices = {item.name: numpy_helper.to_array(item).shape for item in model.graph.initializer}
    # (32, 64) goes up and (64, 32) down in each of the two blocks of the tiny model.
    products = [
        node.output[0]
        for node in model.graph.node
        if node.op_type == "MatMul" and sorted(matrices.get(node.input[1], ())) == [32, 64]
    ]
    model.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in products)
    onnx.save(model, str(tmp_path / "told.onnx"))
    batch = dense.encode(TEXTS)
    feed = {name: tensor.numpy() for name, tensor in batch.inputs().items()}

    found = onnxruntime.InferenceSession(str(tmp_path / "told.onnx")).run(products, feed)

    rows = [array.shape[1] for array in found]
    assert rows == [batch.input_ids.shape[1]] * 2 + [1] * 2
    assert len(model.graph.node) == len(onnx.load(str(graphs[0])).graph.node) + 2


def _graph(reader: list[Any], outputs: list[str]) -> onnx.ModelProto:
    """A graph ``y = relu(x)`` whose rows `reader` reads."""
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Relu", ["x"], ["y"]), *reader]
    zero = numpy_helper.from_array(np.array(0, dtype=np.int64), "zero")
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", onnx.TensorProto.FLOAT, ["b", "t", 4])],
        [value(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [zero],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


GATHER = helper.make_node("Gather", ["y", "zero"], ["logits"], axis=1)


@pytest.mark.parametrize(
    ("readers", "outputs", "rewritten"),
    [
        ([GATHER], ["logits"], 1),
        ([GATHER], ["logits", "y"], 0),  # all rows are asked for
        ([helper.make_node("ReduceMean", ["y"], ["logits"], axes=[1], keepdims=0)], ["logits"], 0),
        ([GATHER, helper.make_node("ReduceMean", ["y"], ["m"], axes=[1], keepdims=0)], ["logits", "m"], 0),
        ([helper.make_node("Gather", ["y", "zero"], ["logits"], axis=0)], ["logits"], 0),
    ],
)
def test_a_graph_whose_other_rows_are_read_is_left_alone(
    readers: list[Any], outputs: list[str], rewritten: int, tmp_path: Path
) -> None:
    path = tmp_path / "g.onnx"
    onnx.save(_graph(readers, outputs), str(path))
    before = path.read_bytes()

    assert first_token_only(path) == rewritten
    onnxruntime.InferenceSession(str(path))
    assert (path.read_bytes() == before) == (rewritten == 0)
