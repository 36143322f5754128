"""Leaves out what a classifier's graph computes for nothing: in the last block, all rows but the first token's.

A pooler, or a head without one, reads one row of the last block's output, (B, T, H) → (B, H). After attention a block
treats every token by itself, so that the rows of its output projection, its feed-forward part and its layer norms that
nobody reads need not be computed: 9 of the 12 H² multiplications per token of that block. Runtimes do not see it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

_ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Erf", "Tanh", "Relu", "Sigmoid", "Identity", "Gelu"}


def first_token_only(path: Path) -> int:
    """Rewrite the graph in `path` in place; return how many nodes now see one row (0: the graph is left as it is).

    From ``Gather(X, 0, axis=1)`` upwards, a node joins while all that read its output have joined and while it treats
    rows (axis 1) alike and apart: elementwise, a layer norm over the last axis, a product with a constant matrix. What
    those nodes read from outside is cut to its first row. Values stay the same up to rounding.
    """
    import onnx

    model = onnx.load(str(path))
    graph = model.graph
    constants = _constants(graph)
    readers: dict[str, list[Any]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    kept = {output.name for output in graph.output}
    gathers = [node for node in graph.node if _takes_the_first(node, constants)]
    if len(gathers) != 1 or len(readers[gathers[0].input[0]]) != 1:
        return 0
    rows: list[Any] = []
    joined = {gathers[0].output[0]}
    for node in reversed(graph.node):
        read_by = {reader.output[0] for output in node.output for reader in readers[output]}
        if read_by and read_by <= joined and not kept & set(node.output) and _row_by_row(node, constants):
            rows.append(node)
            joined.add(node.output[0])
    made = {output for node in rows for output in node.output}
    outer = {name for node in rows for name in node.input if name and name not in constants and name not in made}
    ranks = _ranks(model) if rows else {}
    if not rows or any(ranks.get(name) != 3 for name in outer):
        return 0
    _cut(graph, rows, sorted(outer))
    onnx.save(model, str(path))
    return len(rows)


def _constants(graph: Any) -> dict[str, Any]:
    """Return name → array of every constant; the exporter writes equal weights once, and the others as their copies."""
    import onnx

    found = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            found[node.output[0]] = onnx.numpy_helper.to_array(value)
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def _takes_the_first(node: Any, constants: dict[str, Any]) -> bool:
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    index = constants.get(node.input[1]) if node.op_type == "Gather" else None
    return axis == 1 and index is not None and index.ndim == 0 and int(index) == 0


def _row_by_row(node: Any, constants: dict[str, Any]) -> bool:
    """Say whether row t of the output depends on row t of the inputs alone, the same way for every t."""
    given = [constants[name] for name in node.input if name in constants]
    if len(given) == len(node.input):
        return False
    if node.op_type == "MatMul":
        return node.input[1] in constants and constants[node.input[1]].ndim == 2
    if node.op_type == "LayerNormalization":
        return all(a.i == -1 for a in node.attribute if a.name == "axis") and len(given) == len(node.input) - 1
    return node.op_type in _ELEMENTWISE and all(value.ndim <= 1 for value in given)


def _ranks(model: Any) -> dict[str, int]:
    """Return name → number of axes, where that is known."""
    from onnx.shape_inference import infer_shapes

    values = infer_shapes(model).graph
    known = (item for item in (*values.value_info, *values.input) if item.type.tensor_type.HasField("shape"))
    return {item.name: len(item.type.tensor_type.shape.dim) for item in known}


def _cut(graph: Any, rows: list[Any], outer: list[str]) -> None:
    """Let the nodes `rows` read the first row of each outer tensor."""
    import numpy as np
    import onnx

    for name, value in (("first_row_start", 0), ("first_row_end", 1), ("first_row_axis", 1)):
        graph.initializer.append(onnx.numpy_helper.from_array(np.array([value], dtype=np.int64), name))
    for tensor in outer:
        cut = onnx.helper.make_node(
            "Slice",
            [tensor, "first_row_start", "first_row_end", "first_row_axis"],
            [f"{tensor}_first_row"],
            name=f"{tensor}_first_row",
        )
        for node in rows:
            for index, name in enumerate(node.input):
                if name == tensor:
                    node.input[index] = cut.output[0]
        # Nodes stand in the order in which they can be computed.
        position = next(i for i, node in enumerate(graph.node) if cut.output[0] in node.input)
        graph.node.insert(position, cut)
