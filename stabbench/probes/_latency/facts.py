"""What a loaded subject is: bytes by part and by number type, multiplications, threads. Counted, not timed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stabbench.models.anatomy import anatomy
from stabbench.models.batch import Batch
from stabbench.models.subject import Subject

_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
          "I8": "int8", "U8": "uint8", "BOOL": "bool", "FLOAT": "float32", "DOUBLE": "float64", "FLOAT16": "float16",
          "BFLOAT16": "bfloat16", "INT8": "int8", "UINT8": "uint8", "INT32": "int32", "INT64": "int64"}  # fmt: skip
_COMPANIONS = (".json", ".txt", ".model", ".vocab", ".jinja")
Tensor = tuple[str, str, int]
"""(name, number type, bytes) of a stored tensor."""


def facts(subject: Subject, folder: Path, embeddings: Sequence[str], batches: dict[str, Batch]) -> dict[str, Any]:
    """Return what is stored with a panel about one subject.

    Keys: ``size`` bytes by part (``embeddings``, ``weights``, ``companions``: tokenizer and config), ``precision``
    bytes of weights by number type, ``macs`` by shape (None where the subject has no torch module to count in),
    ``threads`` inside and between operations, ``float32_matmul`` torch's setting.

    Args:
        subject: the loaded subject.
        folder: what a deployment ships of it.
        embeddings: names of the embedding modules, as `embedding_modules` gives them for the dense model.
        batches: shape → a batch of that shape.
    """
    size = {"embeddings": 0, "weights": 0, "companions": 0}
    precision: Counter[str] = Counter()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total = file.stat().st_size
        if file.suffix in _COMPANIONS:
            size["companions"] += total
            continue
        for name, kind, count in _tensors(file):
            precision[_TYPES.get(kind, kind)] += count
            if any(module in name for module in embeddings):
                size["embeddings"] += count
                total -= count
        size["weights"] += total
    model = subject.model
    return {
        "size": size,
        "precision": dict(precision),
        "macs": {shape: None if model is None else macs(model, batch) for shape, batch in batches.items()},
        "threads": {"within": torch.get_num_threads(), "between": torch.get_num_interop_threads()},
        "float32_matmul": torch.get_float32_matmul_precision(),
    }


def embedding_modules(model: nn.Module) -> list[str]:
    """Return the names of the modules that hold embedding parameters, such as ``bert.embeddings.word_embeddings``."""
    found = anatomy(model).block_of.items()
    return sorted({name.rpartition(".")[0] for name, block in found if block == "embeddings"})


def macs(model: nn.Module, batch: Batch) -> int:
    """Return the multiply-accumulate operations of one pass: of linear layers and of attention's two products.

    A linear layer from m to n does m·n for each row it is given. Attention does T·T·H for the scores and as many for
    the weighted sum, for each text and block, H being the width of its query (rows of padding are computed too).
    Layer norms, activations and the softmax are left out, as is usual.
    """
    counted = 0

    def linear(module: nn.Linear, inputs: tuple[Any, ...], _: Any) -> None:
        nonlocal counted
        rows = inputs[0].numel() // module.in_features
        counted += rows * module.in_features * module.out_features

    handles = [m.register_forward_hook(linear) for m in model.modules() if isinstance(m, nn.Linear)]
    try:
        with torch.inference_mode():
            model(**batch.inputs())
    finally:
        for handle in handles:
            handle.remove()
    size, length = batch.input_ids.shape
    return counted + sum(2 * size * length * length * width for width in _attention_widths(model))


def _attention_widths(model: nn.Module) -> Iterator[int]:
    """Yield the width of the query of every block: the first linear layer in it, by construction of the family."""
    for block in anatomy(model).blocks:
        first = next((module for module in block.modules() if isinstance(module, nn.Linear)), None)
        if first is not None:
            yield first.out_features


def _tensors(file: Path) -> list[Tensor]:
    if file.suffix == ".safetensors":
        return _safetensors(file)
    return _onnx(file) if file.suffix == ".onnx" else []


def _safetensors(file: Path) -> list[Tensor]:
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
    return [(n, entry["dtype"], entry["data_offsets"][1] - entry["data_offsets"][0]) for n, entry in entries.items()]


def _onnx(file: Path) -> list[Tensor]:
    import onnx

    found = onnx.load(str(file), load_external_data=False).graph.initializer
    return [(item.name, onnx.TensorProto.DataType.Name(item.data_type), item.ByteSize()) for item in found]
