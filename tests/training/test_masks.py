"""Masks: the promised probability, independence, one function of the seed; dropout and attention against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import softmax

from stabbench.training.masks import LEVELS, attention, dropout, kept

CPU = torch.device("cpu")


@pytest.mark.parametrize("p", [0.0, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_the_share_of_zeros_is_p_up_to_chance(p: float) -> None:
    dropped = (~kept((400, 500), p, 7, CPU)).numpy()

    assert stats.binomtest(int(dropped.sum()), dropped.size, round(p * LEVELS) / LEVELS).pvalue > 1e-4


def test_rows_columns_and_neighbours_are_independent() -> None:
    """Four numbers come from one 64-bit word: neighbours must not know of each other."""
    dropped = (~kept((1000, 256), 0.5, 3, CPU)).numpy()
    for a, b in [(dropped[:, i::4][:, :60], dropped[:, j::4][:, :60]) for i in range(4) for j in range(i)]:
        table = np.array([[np.sum((a == x) & (b == y)) for y in (0, 1)] for x in (0, 1)])
        assert stats.chi2_contingency(table).pvalue > 1e-4
    assert stats.chisquare(dropped.sum(axis=0)).pvalue > 1e-4
    assert stats.chisquare(dropped.sum(axis=1)).pvalue > 1e-4


def test_the_mask_is_a_function_of_the_seed_and_touches_no_global_state() -> None:
    state, other = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, again, different = (kept((3, 50), 0.3, seed, CPU) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, different)
    assert torch.equal(state, torch.get_rng_state())
    assert np.array_equal(other, np.random.get_state()[1])


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (2, 3, 7)])
def test_every_shape_has_a_mask_and_a_larger_one_begins_alike(shape: tuple[int, ...]) -> None:
    mask = kept(shape, 0.4, 5, CPU)
    size = mask.numel()

    assert mask.shape == shape
    assert torch.equal(mask.flatten(), kept((size + 9,), 0.4, 5, CPU)[:size])


def test_bits_are_those_of_numpy_s_generator() -> None:
    words = np.random.SFC64(11).random_raw(3)
    numbers = [(int(word) >> shift) & 0xFFFF for word in words for shift in (0, 16, 32, 48)]
    signed = [n - LEVELS if n >= LEVELS // 2 else n for n in numbers]

    expected = [n >= round(0.37 * LEVELS) - LEVELS // 2 for n in signed]
    assert kept((12,), 0.37, 11, CPU).tolist() == expected


@pytest.mark.parametrize("p", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_scales_what_it_keeps_and_so_does_its_gradient(p: float, dtype: torch.dtype) -> None:
    values = torch.randn(40, 50, dtype=dtype, requires_grad=True)
    keep = kept(values.shape, p, 0, CPU)

    result = dropout(values, keep, p)
    result.sum().backward()

    factor = keep.numpy() / (1 - round(p * LEVELS) / LEVELS) if p < 1 else np.zeros(keep.shape)
    tolerance = 1e-6 if dtype == torch.float32 else 8e-3
    np.testing.assert_allclose(
        result.detach().float().numpy(), values.detach().float().numpy() * factor, rtol=2 * tolerance
    )
    assert values.grad is not None
    np.testing.assert_allclose(values.grad.float().numpy(), factor, rtol=tolerance)
    assert result.dtype == dtype


@pytest.mark.parametrize("mask", ["none", "added", "bool"])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_attention_against_numpy(mask: str, scale: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, length, 4, generator=generator) for length in (5, 6, 6))
    keep = kept((2, 3, 5, 6), 0.25, 9, CPU)
    takes_part = torch.ones(2, 1, 1, 6, dtype=torch.bool)
    takes_part[1, ..., 4:] = False
    given = {"none": None, "bool": takes_part, "added": (~takes_part).float() * torch.finfo(torch.float32).min}[mask]

    found = attention(query, key, value, given, keep, 0.25, scale)

    scores = query.numpy() @ key.numpy().swapaxes(-1, -2) * (0.5 if scale is None else scale)
    if mask != "none":
        scores = np.where(takes_part.numpy(), scores, -np.inf)
    expected = (softmax(scores, axis=-1) * keep.numpy() / 0.75) @ value.numpy()
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_attention_without_dropout_is_the_library_s() -> None:
    query, key, value = (torch.randn(2, 3, 5, 4) for _ in range(3))

    found = attention(query, key, value, None, torch.ones(2, 3, 5, 5, dtype=torch.bool), 0.0)

    expected = torch.nn.functional.scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(found, expected)


def test_attention_in_bf16_keeps_float32_scores_inside_autocast() -> None:
    query, key, value = (torch.randn(2, 3, 50, 8).bfloat16() for _ in range(3))
    keep = torch.ones(2, 3, 50, 50, dtype=torch.bool)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = attention(query, key, value, None, keep, 0.0)

    exact = attention(query.double().float(), key.float(), value.float(), None, keep, 0.0)
    assert found.dtype == torch.bfloat16
    assert float((found.float() - exact).abs().max()) < 2**-7
