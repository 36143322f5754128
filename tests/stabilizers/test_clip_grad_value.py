"""Clipping by value against its formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_gradients import arrays_of, made

from stabbench.stabilizers.clip_grad_value import ClipGradValue

ENTRIES = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=6)


@given(vectors=st.lists(ENTRIES, min_size=1, max_size=4), limit=st.floats(1e-3, 200))
def test_every_entry_is_clipped_by_itself(vectors: list[list[float]], limit: float) -> None:
    """gᵢ ← max(−v, min(v, gᵢ))."""
    gradients = made([np.array(vector, dtype=np.float32) for vector in vectors])

    ClipGradValue(max_value=limit).on_gradients(gradients)

    for found, vector in zip(arrays_of(gradients), vectors, strict=True):
        expected = [max(-limit, min(limit, entry)) for entry in vector]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_entries_within_the_limit_keep_their_bits_and_a_nan_is_not_hidden() -> None:
    array = np.array([0.3, -0.1, np.nan, 5.0], dtype=np.float32)
    gradients = made([array])

    ClipGradValue(max_value=1.0).on_gradients(gradients)

    (found,) = arrays_of(gradients)
    np.testing.assert_array_equal(found[:3], array[:3])
    assert found[3] == 1.0


@pytest.mark.parametrize("limit", [float("inf"), 1e9])
def test_a_large_limit_changes_nothing(limit: float) -> None:
    array = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32) * 1e6
    gradients = made([array])

    ClipGradValue(max_value=limit).on_gradients(gradients)

    np.testing.assert_array_equal(arrays_of(gradients)[0], array)
