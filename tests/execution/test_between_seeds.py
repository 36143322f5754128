"""CKA and barriers: against the definitions written out, by their invariances, and on models of a small run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stabbench.execution.barrier import barrier, line_losses
from stabbench.execution.between_seeds import compare_models, models_text
from stabbench.execution.representation import linear_cka
from stabbench.models.batch import Batch
from stabbench.runner import RunOptions, run
from stabbench.store.run_folder import RunFolder

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(9, 5)), RNG.normal(size=(9, 4))


def hsic_by_sums(k: np.ndarray, other: np.ndarray) -> float:
    """The U-statistic itself: the mean over all ordered quadruples of distinct texts."""
    n, total, count = len(k), 0.0, 0
    for i, j, q, r in itertools.permutations(range(n), 4):
        total += k[i, j] * (other[i, j] + other[q, r] - 2 * other[i, q])
        count += 1
    return total / count


def test_it_is_the_u_statistic_over_all_quadruples() -> None:
    k, other = X @ X.T, Y @ Y.T
    expected = hsic_by_sums(k, other) / math.sqrt(hsic_by_sums(k, k) * hsic_by_sums(other, other))

    assert linear_cka(X, Y) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10), st.floats(-5, 5))
def test_rotation_scale_and_shift_do_not_matter(seed: int, scale: float, shift: float) -> None:
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]

    assert linear_cka(X, scale * X @ rotation + shift) == pytest.approx(1, abs=1e-8)
    assert linear_cka(X, Y) == pytest.approx(linear_cka(X @ rotation + shift, scale * Y) or math.nan, abs=1e-8)


def test_unrelated_states_have_about_zero_where_the_biased_estimate_has_much() -> None:
    values = [linear_cka(a, b) for a, b in (np.random.default_rng(s).normal(size=(2, 20, 50)) for s in range(40))]

    assert abs(float(np.mean([value for value in values if value is not None]))) < 0.05


def test_what_has_no_cka_says_so() -> None:
    assert linear_cka(X[:3], Y[:3]) is None
    assert linear_cka(np.ones((9, 5)), Y) is None
    assert linear_cka(np.where(X > 2, np.nan, X * np.inf), Y) is None


def test_a_barrier_is_the_height_above_the_line() -> None:
    assert barrier([1.0, 2.0, 3.0]) == 0, "a slope is no hill"
    assert barrier([1.0, 5.0, 3.0]) == 3
    assert barrier([1.0, 0.0, 3.0]) == 0, "a valley is none"
    assert math.isnan(barrier([1.0, math.nan, 1.0]))


def test_the_line_goes_from_one_models_weights_to_the_others() -> None:
    class Line(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.zeros(1))
            self.register_buffer("position", torch.arange(3))

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
            return SimpleNamespace(
                logits=torch.stack([self.w.expand(len(input_ids)), -self.w.expand(len(input_ids))], 1)
            )

    ids = torch.zeros(2, 1, dtype=torch.long)
    batch = Batch(ids, ids, None, torch.tensor([0, 0]))
    ends = [{"w": torch.tensor([value]), "position": torch.arange(3)} for value in (-1.0, 2.0)]

    losses = line_losses(Line(), ends[0], ends[1], [batch])

    weights = [-1 + 3 * t / 10 for t in range(11)]
    np.testing.assert_allclose(losses, [math.log1p(math.exp(-2 * w)) for w in weights], rtol=1e-5)


SUITE = """\
schema: 1
name: pair
data: {source: builtin:tiny, train: 64, test: 24}
model: builtin:tiny
seeds: 2
train: {epochs: 2, batch_size: 8, learning_rate: 5e-3, max_length: 16, precision: fp32}
variants: {baseline: {}}
monitors: {trace: {}}
compare: {primary: [accuracy]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    path = tmp_path_factory.mktemp("pair")
    (path / "pair.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        yield run(RunOptions("pair.yaml", out=Path("runs/pair"))).folder


def test_models_of_two_seeds_are_compared_layer_by_layer(finished: RunFolder) -> None:
    (arm,) = compare_models(finished)

    assert (arm.variant, arm.seeds, arm.layers) == ("baseline", ("0", "1"), ("embeddings", "block.0", "block.1"))
    assert arm.texts == 24
    assert arm.cka_seeds[0] is None, "the first token's embedding is the same for every text"
    assert all(value is not None and value <= 1 + 1e-9 for value in (*arm.cka_seeds[1:], *arm.cka_pretrained[1:]))
    assert arm.best == min(arm.losses, key=lambda seed: arm.losses[seed])
    (other,) = set(arm.seeds) - {arm.best}
    assert arm.barriers.keys() == {other}
    assert "CKA between seeds: embeddings –, block.0 " in models_text([arm])
    assert f"loss barrier from seed {arm.best} to seed {other}" in models_text([arm])


def test_without_stored_weights_it_says_so(finished: RunFolder) -> None:
    for cell in finished.plan["cells"]:
        if cell["kind"] == "train":
            finished.store.drop_weights(cell["key"])

    assert compare_models(finished) == []
    assert "did not keep them" in models_text([])
