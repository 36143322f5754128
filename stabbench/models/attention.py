"""Where queries and keys are made in a block, told by structure; nothing matches on names."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Projections:
    """The linear maps that make queries and keys, (…, H) → (…, heads × d).

    Attributes:
        query, key: modules whose outputs are the queries and keys of all heads, side by side.
        heads: number of heads.
    """

    query: nn.Module
    key: nn.Module
    heads: int


def projections(block: nn.Module, heads: int) -> Projections | None:
    """Return a block's query and key maps, or None where it has none of the known form.

    The known form, that of the BERT family: one module holds at least three linear maps of one shape, registered in the
    order query, key, value. A fused projection (one map for all three) is not known.

    Args:
        block: one encoder block.
        heads: number of attention heads.
    """
    for module in block.modules():
        linear = [child for child in module.children() if _shape(child) is not None]
        shapes = [_shape(child) for child in linear[:3]]
        if len(linear) >= 3 and len(set(shapes)) == 1 and _width(linear[0]) % heads == 0:
            return Projections(linear[0], linear[1], heads)
    return None


def _shape(module: nn.Module) -> tuple[int, int] | None:
    # An adapter that wraps a linear map is no `nn.Linear`, but tells its sizes under the same names.
    sizes = (getattr(module, "in_features", None), getattr(module, "out_features", None))
    return sizes if all(isinstance(size, int) for size in sizes) else None  # type: ignore[return-value]


def _width(module: nn.Module) -> int:
    shape = _shape(module)
    assert shape is not None
    return shape[1]
