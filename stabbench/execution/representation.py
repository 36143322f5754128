"""How alike two models see the same texts: linear CKA of the first token's state after every block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from stabbench.models.batch import Batch

LEAST = 4
"""Texts below which the unbiased estimate does not exist."""


def states(model: nn.Module, batches: Sequence[Batch]) -> np.ndarray:
    """Return (L + 1, N, H) float64: the first token's hidden state, after the embeddings and after each of L blocks."""
    found = []
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            output = model(**batch.to(next(model.parameters()).device).inputs(), output_hidden_states=True)
            found.append(torch.stack([layer[:, 0].double() for layer in output.hidden_states]).cpu())
    return np.asarray(torch.cat(found, dim=1).numpy())


def linear_cka(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return the unbiased linear CKA of two (N, H) matrices of states.

    1 for states that are equal up to rotation and scale, about 0 for unrelated ones. CKA = HSIC(K, L)/√(HSIC(K, K)
    HSIC(L, L)) with K = XXᵀ, L = YYᵀ and the unbiased HSIC. None below four texts, where something is not finite, or
    where a matrix does not vary. Sources: Kornblith et al. (2019), arXiv:1905.00414; for HSIC Song et al. (2012), JMLR
    13.
    """
    if len(first) < LEAST or not (np.isfinite(first).all() and np.isfinite(second).all()):
        return None
    k, other = (_gram(matrix) for matrix in (first, second))
    scale = _hsic(k, k) * _hsic(other, other)
    return float(_hsic(k, other) / np.sqrt(scale)) if scale > 0 else None


def _gram(matrix: np.ndarray) -> np.ndarray:
    # Centred first: the estimate does not change, and large common states do not cost it its digits.
    centred = matrix.astype(float) - matrix.mean(axis=0)
    gram: np.ndarray = centred @ centred.T
    np.fill_diagonal(gram, 0.0)
    return gram


def _hsic(k: np.ndarray, other: np.ndarray) -> float:
    """Song et al.'s estimator 5, of Gram matrices whose diagonals are 0."""
    n = len(k)
    trace = float((k * other).sum())
    sums = float(k.sum() * other.sum()) / ((n - 1) * (n - 2))
    cross = 2.0 * float(k.sum(axis=0) @ other.sum(axis=0)) / (n - 2)
    return (trace + sums - cross) / (n * (n - 3))
