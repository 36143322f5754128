"""low-rank: the factors against the theorem of Eckart and Young, plain and weighted by inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stabbench.compression.base import Material
from stabbench.compression.low_rank import LowRank, factored
from stabbench.models.subject import Subject


@pytest.fixture(scope="module")
def linear() -> nn.Linear:
    torch.manual_seed(3)
    return nn.Linear(20, 12)


def _product(pair: tuple[nn.Linear, nn.Linear]) -> np.ndarray:
    inner, outer = (linear.weight.detach().double().numpy() for linear in pair)
    return np.asarray(outer @ inner)


def test_the_error_is_that_of_the_singular_values_left_out(linear: nn.Linear) -> None:
    weight = linear.weight.detach().double().numpy()
    rank = int(0.5 * 240 / 32)

    pair = factored(linear, 0.5)

    values = np.linalg.svd(weight, compute_uv=False)
    assert pair[0].out_features == rank
    error = np.linalg.norm(weight - _product(pair))
    assert error == pytest.approx(np.sqrt(np.sum(values[rank:] ** 2)), rel=1e-5)
    torch.testing.assert_close(pair[1].bias, linear.bias, rtol=0, atol=0)


def test_weighted_factors_have_the_smallest_error_on_the_inputs_seen(linear: nn.Linear) -> None:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(300, 20)) * np.linspace(0.1, 3.0, 20)
    moment = inputs.T @ inputs
    weight = linear.weight.detach().double().numpy()

    weighted, plain = factored(linear, 0.5, torch.from_numpy(moment)), factored(linear, 0.5)

    # ‖(W − BA)X‖² is least at the discarded singular values of W C^{1/2}, whichever root is taken.
    root = np.linalg.cholesky(moment)
    values = np.linalg.svd(weight @ root, compute_uv=False)
    least = np.sum(values[weighted[0].out_features :] ** 2)
    errors = [np.sum(((weight - _product(pair)) @ inputs.T) ** 2) for pair in (weighted, plain)]
    assert errors[0] == pytest.approx(least, rel=1e-3)
    assert errors[0] < errors[1]


def test_the_shape_is_in_the_config(dense: Subject, material: Material, tmp_path: Path) -> None:
    LowRank(0.5, texts=4).compress(dense, material, tmp_path)

    shape = json.loads((tmp_path / "config.json").read_text())["stabbench"]
    loaded = LowRank().load(tmp_path)

    assert len(shape["ranks"]) == 2 * 6
    assert set(shape["ranks"].values()) == {int(0.5 * 32 * 32 / 64), int(0.5 * 32 * 64 / 96)}
    assert loaded.model is not None
    assert loaded.model.get_submodule("bert.encoder.layer.1.output.dense.0").weight.shape == (10, 64)  # type: ignore[union-attr]


def test_almost_all_of_the_numbers_give_almost_the_same_answers(
    dense: Subject, material: Material, tmp_path: Path
) -> None:
    """A square map of full rank needs twice its numbers: keep is below 1, so this is a limit and not an identity."""
    batch = dense.encode(material.texts(4))
    gaps = []
    for keep in (0.1, 0.95):
        folder = tmp_path / str(keep)
        folder.mkdir()
        LowRank(keep).compress(dense, material, folder)
        gaps.append(float((LowRank().load(folder).logits(batch) - dense.logits(batch)).abs().max()))
    assert gaps[1] < gaps[0]
