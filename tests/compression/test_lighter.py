"""bf16, onnx, static int8, magnitude pruning, dropped layers: each against an independent formula."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_torch_file
from transformers import AutoModelForSequenceClassification

from stabbench.compression.base import Material, compress, load_compressed
from stabbench.compression.bf16 import Bf16
from stabbench.compression.compile import compiler
from stabbench.compression.drop_layers import DropLayers, chosen
from stabbench.compression.onnx import Onnx
from stabbench.compression.ort_int8_static import OrtInt8Static
from stabbench.compression.prune_magnitude import PruneMagnitude
from stabbench.errors import StabbenchError
from stabbench.models.subject import Subject, torch_logits

TEXTS = ["the film was good", "a dull and long story that never ends", "no"]


def test_bf16_rounds_every_weight_to_eight_bits(dense: Subject, tmp_path: Path) -> None:
    Bf16().compress(dense, Material(), tmp_path)
    assert dense.model is not None

    stored = load_torch_file(tmp_path / "model.safetensors")

    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    for name, value in dense.model.state_dict().items():
        # Round half to even on the upper 16 bits of the float32.
        bits = value.numpy().view(np.uint32)
        rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).view(np.float32)
        np.testing.assert_array_equal(stored[name].float().numpy(), rounded)


def test_bf16_computes_in_it(dense: Subject, tmp_path: Path) -> None:
    Bf16().compress(dense, Material(), tmp_path)
    found = Bf16().load(tmp_path)

    logits = found.logits(dense.encode(TEXTS))

    assert found.model is None
    assert torch.equal(logits, logits.bfloat16().float())
    torch.testing.assert_close(logits, dense.logits(dense.encode(TEXTS)), rtol=0, atol=0.02)


def test_the_graph_gives_the_models_logits(dense: Subject, tmp_path: Path) -> None:
    Onnx().compress(dense, Material(), tmp_path)

    for texts in (TEXTS, TEXTS[1:2] * 5):
        batch = dense.encode(texts)
        torch.testing.assert_close(Onnx().load(tmp_path).logits(batch), dense.logits(batch), rtol=0, atol=1e-5)


def test_the_graph_is_that_of_the_torchscript_exporter(dense: Subject, tmp_path: Path) -> None:
    """The newer exporter writes opset 18 and another producer's metadata; its graphs quantise worse."""
    Onnx().compress(dense, Material(), tmp_path)
    model = onnx.load(tmp_path / "model.onnx")

    assert [item.version for item in model.opset_import if item.domain == ""] == [17]
    assert not any(key.startswith("pkg.torch.export") for node in model.graph.node for key in _metadata(node))


def _metadata(node: onnx.NodeProto) -> list[str]:
    return [entry.key for entry in getattr(node, "metadata_props", ())]


def test_fixed_ranges_do_not_depend_on_the_company(dense: Subject, material: Material, tmp_path: Path) -> None:
    OrtInt8Static().compress(dense, material, tmp_path)
    found = OrtInt8Static().load(tmp_path)

    alone = torch.cat([found.logits(dense.encode([text])) for text in TEXTS])

    torch.testing.assert_close(found.logits(dense.encode(TEXTS)), alone, rtol=0, atol=1e-5)


def test_ranges_are_those_of_the_calibration_texts(dense: Subject, material: Material, tmp_path: Path) -> None:
    """The first product's input is the output of the embeddings: its extremes give the scale."""
    texts = material.texts(5)
    OrtInt8Static(texts=5).compress(dense, material, tmp_path)
    graph = onnx.load(tmp_path / "model.onnx").graph
    tensors = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    assert dense.model is not None
    with torch.no_grad():
        seen = [dense.model.bert.embeddings(**_embedded(dense, text)).numpy() for text in texts]  # type: ignore[union-attr, operator]
    low, high = min(0.0, *(float(x.min()) for x in seen)), max(0.0, *(float(x.max()) for x in seen))

    scales = [
        float(tensors[node.input[1]])
        for node in graph.node
        if node.op_type == "QuantizeLinear" and tensors[node.input[1]].ndim == 0
    ]

    assert min(abs(scale - (high - low) / 255) for scale in scales) < 1e-6


def _embedded(dense: Subject, text: object) -> dict[str, torch.Tensor]:
    inputs = dense.encode([text]).inputs()  # type: ignore[list-item]
    return {name: inputs[name] for name in ("input_ids", "token_type_ids")}


def test_static_ranges_need_a_training_text(dense: Subject, tmp_path: Path) -> None:
    with pytest.raises(StabbenchError, match="no training text"):
        OrtInt8Static().compress(dense, Material(), tmp_path)


@pytest.mark.parametrize("amount", [0.0, 0.3, 0.9])
def test_the_smallest_weights_of_the_blocks_become_zero(amount: float, dense: Subject, tmp_path: Path) -> None:
    PruneMagnitude(amount).compress(dense, Material(), tmp_path)
    assert dense.model is not None
    before = {name: value.numpy() for name, value in dense.model.state_dict().items()}
    after = load_file(tmp_path / "model.safetensors")
    maps = [n for n, v in before.items() if ".layer." in n and v.ndim == 2]
    sizes = np.sort(np.concatenate([np.abs(before[name]).ravel() for name in maps]))
    count = int(amount * len(sizes))

    for name, value in before.items():
        if name in maps and count:
            np.testing.assert_array_equal(after[name], np.where(np.abs(value) > sizes[count - 1], value, 0))
        else:
            np.testing.assert_array_equal(after[name], value)


@pytest.mark.parametrize(
    ("depth", "keep", "which", "kept"),
    [
        (12, 0.5, "spread", [0, 2, 4, 7, 9, 11]),
        (6, 0.5, "spread", [0, 2, 5]),
        (6, 0.5, "bottom", [0, 1, 2]),
        (6, 0.34, "top", [4, 5]),
        (2, 0.1, "spread", [0]),
        (3, 1.0, "spread", [0, 1, 2]),
    ],
)
def test_which_layers_stay(depth: int, keep: float, which: str, kept: list[int]) -> None:
    assert chosen(depth, keep, which) == kept  # type: ignore[arg-type]


def test_kept_layers_are_kept_bit_by_bit_and_any_library_loads_them(
    dense: Subject, material: Material, tmp_path: Path
) -> None:
    DropLayers(0.5, "top", recover_epochs=0).compress(dense, material, tmp_path)
    assert dense.model is not None
    before = dense.model.state_dict()
    after = load_file(tmp_path / "model.safetensors")

    for name, value in after.items():
        np.testing.assert_array_equal(value, before[name.replace(".layer.0.", ".layer.1.")].numpy())
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = dense.encode(TEXTS)
    assert torch.equal(torch_logits(plain)(batch), DropLayers().load(tmp_path).logits(batch))


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_compiled_kernels_give_the_models_logits(dense: Subject, tmp_path: Path) -> None:
    compress("compile", dense, Material(), tmp_path)
    found = load_compressed("compile", tmp_path, dense)

    for texts in (TEXTS, TEXTS[:1]):
        batch = dense.encode(texts)
        torch.testing.assert_close(found.logits(batch), dense.logits(batch), rtol=0, atol=1e-4)
