"""The outputs of a classifier in another order: the rows of its last layer exchanged, and seen to be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.batch import Batch


def reorder_outputs(model: nn.Module, order: Sequence[int], batch: Batch) -> None:
    """Make output j of a classifier what output ``order[j]`` was.

    Args:
        model: in evaluation mode; its last layer is changed in place.
        order: a permutation of its outputs.
        batch: any texts: on them the logits must come out exchanged, or the layer was not the last one.

    Raises:
        ConfigurationError: the model has no layer whose rows are its outputs.
    """
    if list(order) == list(range(len(order))):
        return
    with torch.inference_mode():
        before = model(**batch.inputs()).logits
    layers = [
        layer
        for layer in anatomy(model).head.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == len(order)
    ]
    if layers:
        with torch.no_grad():
            layers[-1].weight.copy_(layers[-1].weight[list(order)].clone())
            if layers[-1].bias is not None:
                layers[-1].bias.copy_(layers[-1].bias[list(order)].clone())
        with torch.inference_mode():
            after = model(**batch.inputs()).logits
    if not layers or not torch.allclose(after, before[:, list(order)], atol=1e-5):
        raise ConfigurationError(
            [
                f"the outputs of {type(model).__name__} stand in another order than the data's classes, and its last "
                "layer was not found to exchange them; give data.classes in the order of its outputs"
            ]
        )
