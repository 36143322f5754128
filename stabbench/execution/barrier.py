"""Is there a hill between two trained models? The loss along the straight line from one's weights to the other's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from stabbench.models.batch import Batch

POINTS = 11


def line_losses(
    model: nn.Module, first: Mapping[str, Tensor], second: Mapping[str, Tensor], batches: Sequence[Batch]
) -> list[float]:
    """Return mean cross-entropies at (1 − t)·first + t·second, t = 0, 0.1 … 1; the model's weights are left changed.

    Args:
        model: of the architecture of both.
        first: a state dict.
        second: the other; what is not floating-point is taken from `first`.
        batches: labelled.
    """
    return [mean_loss(model, _between(first, second, t / (POINTS - 1)), batches) for t in range(POINTS)]


def barrier(losses: Sequence[float]) -> float:
    """Return max_t L(t) − ((1 − t)·L(0) + t·L(1)): the height above the line between the ends' losses, at least 0.

    NaN where a loss is not finite. Source: Frankle et al. (2020), arXiv:1912.05671 (linear mode connectivity); there
    the mean of the ends is taken, which is the line where the ends are equal.
    """
    if not all(math.isfinite(loss) for loss in losses):
        return math.nan
    last = len(losses) - 1
    return max(loss - ((1 - t / last) * losses[0] + t / last * losses[-1]) for t, loss in enumerate(losses))


def _between(first: Mapping[str, Tensor], second: Mapping[str, Tensor], t: float) -> dict[str, Tensor]:
    mixed = {name: torch.lerp(w, second[name], t) for name, w in first.items() if w.is_floating_point()}
    return {**first, **mixed}


def mean_loss(model: nn.Module, weights: Mapping[str, Tensor], batches: Sequence[Batch]) -> float:
    """Return the mean cross-entropy at these weights, in evaluation mode; the model's weights are left changed."""
    model.load_state_dict(dict(weights))
    model.eval()
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            assert batch.labels is not None
            logits = model(**batch.inputs()).logits.float()
            total += float(nn.functional.cross_entropy(logits, batch.labels, reduction="sum"))
            count += len(batch)
    return total / count
