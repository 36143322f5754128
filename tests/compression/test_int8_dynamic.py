"""int8-dynamic against the textbook formula of dynamic quantisation, and its artifact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from stabbench.compression.base import Material
from stabbench.compression.int8_dynamic import Int8Dynamic, _Int8Rows, _packed_linear, _rows_in_int8
from stabbench.models.subject import Subject


@pytest.fixture(scope="module")
def artifact(dense: Subject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    Int8Dynamic().compress(dense, Material(), folder)
    return folder


def test_weights_are_rounded_to_within_half_a_step_of_their_channel(dense: Subject, artifact: Path) -> None:
    tensors = load_file(artifact / "int8.safetensors")
    assert dense.model is not None
    weights = {name: value.numpy() for name, value in dense.model.state_dict().items()}

    layers = [name.removesuffix(".int8") for name in tensors if name.endswith(".int8")]

    assert len(layers) == 2 * 6 + 2
    for layer in layers:
        step = tensors[f"{layer}.scale"][:, None]
        rebuilt = (tensors[f"{layer}.int8"].astype(float) - tensors[f"{layer}.zero_point"][:, None]) * step
        assert np.all(np.abs(rebuilt - weights[f"{layer}.weight"]) <= step * 0.5001)
        # One scale per output channel: the largest weight of each channel uses the whole range.
        assert np.all(np.abs(tensors[f"{layer}.int8"].astype(int)).max(axis=1) >= 126)


def test_a_layer_computes_the_formula_of_its_card(dense: Subject, artifact: Path) -> None:
    """y = s_x s_w,i (q(x) − z_x)·q(w_i) + b_i."""
    tensors = load_file(artifact / "int8.safetensors")
    name = "classifier"
    layer = _packed_linear({k: torch.from_numpy(v) for k, v in tensors.items()}, name)
    x = np.linspace(-1.5, 2.0, 3 * 32, dtype=np.float32).reshape(3, 32)

    found = layer(torch.from_numpy(x)).detach().numpy()

    # torch reduces the activations' range to 127 steps, so that sums of products fit without VNNI.
    step = (x.max() - x.min()) / 127
    zero = np.round(-x.min() / step)
    activations = (np.clip(np.round(x / step) + zero, 0, 127) - zero) * step
    weights = tensors[f"{name}.int8"].astype(float) * tensors[f"{name}.scale"][:, None]
    np.testing.assert_allclose(found, activations @ weights.T + tensors[f"{name}.bias"], atol=2e-4)


def test_everything_but_linear_weights_is_kept_bit_by_bit(dense: Subject, artifact: Path) -> None:
    tensors = load_file(artifact / "int8.safetensors")
    assert dense.model is not None
    linear = {n for n, module in dense.model.named_modules() if isinstance(module, torch.nn.Linear)}

    for name, value in dense.model.state_dict().items():
        if name.rpartition(".")[0] not in linear or name.endswith(".bias"):
            np.testing.assert_array_equal(tensors[name], value.numpy())


def test_rows_of_int8_embeddings_are_rounded_to_within_half_a_step_of_their_own_range(
    dense: Subject, tmp_path: Path
) -> None:
    Int8Dynamic(embeddings=True).compress(dense, Material(), tmp_path)
    tensors = load_file(tmp_path / "int8.safetensors")
    assert dense.model is not None
    name = "bert.embeddings.word_embeddings"
    table = dense.model.state_dict()[f"{name}.weight"].numpy()
    step = (table.max(axis=1) - table.min(axis=1)) / 255

    rebuilt = tensors[f"{name}.row_minimum"][:, None] + step[:, None] * tensors[f"{name}.int8"].astype(np.float64)

    assert tensors[f"{name}.int8"].dtype == np.uint8
    assert f"{name}.weight" not in tensors
    assert np.all(np.abs(rebuilt - table) <= step[:, None] * 0.501 + 1e-7)
    rows = Int8Dynamic().load(tmp_path)
    batch = dense.encode(["a great film", "dull"])
    torch.testing.assert_close(rows.logits(batch), dense.logits(batch), rtol=0, atol=0.05)


def test_a_row_of_equal_numbers_is_kept() -> None:
    table = torch.tensor([[0.5, 0.5, 0.5], [0.0, 1.0, 0.25]])
    parts = _rows_in_int8("t", table)

    rows = _Int8Rows(parts["t.int8"], parts["t.row_scale"], parts["t.row_minimum"])(torch.tensor([[0, 1]]))

    torch.testing.assert_close(rows[0], table, rtol=0, atol=0.5 / 255)
