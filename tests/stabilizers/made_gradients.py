"""Parameters with given gradients, as the loop hands them to `on_gradients`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from stabbench.stabilizers.base import Gradients


def made(arrays: Sequence[np.ndarray], weights: Sequence[np.ndarray] | None = None, step: int = 0) -> Gradients:
    """Return `Gradients` of fresh parameters with these gradients, and these weights or zeros."""
    given = [np.zeros_like(array) for array in arrays] if weights is None else weights
    parameters = [nn.Parameter(torch.tensor(weight, dtype=torch.float32)) for weight in given]
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.grad = torch.tensor(array, dtype=torch.float32)
    norms = torch.stack([torch.tensor(np.sqrt((array.astype(float) ** 2).sum())).float() for array in arrays])
    return Gradients(parameters, norms, step)


def arrays_of(gradients: Gradients) -> list[np.ndarray]:
    """Return the gradients as they are now."""
    return [parameter.grad.numpy() for parameter in gradients.parameters if parameter.grad is not None]
