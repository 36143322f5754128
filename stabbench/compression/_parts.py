"""The linear maps of an encoder block, told by structure, and taking heads and feed-forward units out of them.

The known form, that of the BERT family: one module holds three maps of one shape (query, key, value); a map from their
width back to the hidden width follows (attention output); then one from the hidden width to the feed-forward width and
one back. A block of another form is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.attention import projections

_HEAD_COUNTS = ("num_attention_heads", "n_heads", "num_heads")
_WIDTHS = ("all_head_size", "dim", "embed_dim")


@dataclass(frozen=True)
class Parts:
    """One block's linear maps.

    Attributes:
        attention: the module that holds query, key and value and cuts their outputs into heads.
        query, key, value: (H → heads · d).
        output: (heads · d → H).
        up, down: (H → U) and (U → H).
        heads: heads that are left.
        block: the whole block.
    """

    attention: nn.Module
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    up: nn.Linear
    down: nn.Linear
    heads: int
    block: nn.Module

    @property
    def head_width(self) -> int:
        """Width d of one head."""
        return self.query.out_features // self.heads


def encoder_parts(model: nn.Module) -> tuple[Parts, ...]:
    """Return the parts of every block, from the bottom up.

    Raises:
        ConfigurationError: a block is not of the known form; the message names the model's class.
    """
    return tuple(_parts(model, block, index) for index, block in enumerate(anatomy(model).blocks))


def _parts(model: nn.Module, block: nn.Module, index: int) -> Parts:
    heads = _heads(model, block)
    found = projections(block, heads)
    linear = [module for module in block.modules() if isinstance(module, nn.Linear)]
    if found is None or len(linear) != 6 or not isinstance(found.query, nn.Linear):
        raise unknown_form(model, f"block {index} has not the six linear maps of a BERT block")
    query, key, value, output, up, down = linear
    attention = next(module for module in block.modules() if query in set(module.children()))
    width, hidden = query.out_features, query.in_features
    fits = (output.in_features, output.out_features) == (width, hidden)
    fits &= (up.in_features, down.out_features, up.out_features) == (hidden, hidden, down.in_features)
    if found.query is not query or not fits:
        raise unknown_form(model, f"the linear maps of block {index} do not follow each other as in BERT")
    return Parts(attention, query, key, value, output, up, down, heads, block)


def _heads(model: nn.Module, block: nn.Module) -> int:
    """Return the heads that a block has now: pruned attention tells its own count, else the config does."""
    for module in block.modules():
        for name in _HEAD_COUNTS:
            if isinstance(count := getattr(module, name, None), int):
                return count
    return int(model.config.num_attention_heads)  # type: ignore[union-attr, arg-type]


def unknown_form(model: nn.Module, why: str) -> ConfigurationError:
    """Return the error for a model whose blocks are not of the known form."""
    return ConfigurationError(
        [
            f"compressions: {type(model).__name__} cannot be pruned by structure: {why}. "
            "Use BERT, RoBERTa, DistilBERT or ELECTRA, or another compressor."
        ]
    )


def keep_heads(parts: Parts, heads: Iterable[int]) -> None:
    """Keep the named heads of a block, in place: their rows of query, key and value, their columns of the output."""
    kept, width = list(heads), parts.head_width
    index = torch.tensor([head * width + offset for head in kept for offset in range(width)], dtype=torch.int64)
    total = parts.query.out_features
    for linear in (parts.query, parts.key, parts.value):
        keep_rows(linear, index)
    keep_columns(parts.output, index)
    # The names under which the families' attention keeps its shape; `prune-structured` checks the result by value.
    for name in _HEAD_COUNTS:
        if isinstance(getattr(parts.attention, name, None), int):
            setattr(parts.attention, name, len(kept))
    for name in _WIDTHS:
        if getattr(parts.attention, name, None) == total:
            setattr(parts.attention, name, len(index))


def keep_units(parts: Parts, units: Sequence[int]) -> None:
    """Keep the named feed-forward units of a block, in place."""
    index = torch.tensor(list(units), dtype=torch.int64)
    keep_rows(parts.up, index)
    keep_columns(parts.down, index)


def keep_rows(linear: nn.Linear, index: Tensor) -> None:
    """Keep the named outputs of a linear map, in place."""
    linear.weight = nn.Parameter(linear.weight.detach()[index].clone())
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[index].clone())
    linear.out_features = len(index)


def keep_columns(linear: nn.Linear, index: Tensor) -> None:
    """Keep the named inputs of a linear map, in place."""
    linear.weight = nn.Parameter(linear.weight.detach()[:, index].clone())
    linear.in_features = len(index)
