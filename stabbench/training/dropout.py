"""Matched dropout: masks are drawn by place, not one after the other from one generator.

The seed of a mask is a function of (dropout stream, step, micro-batch, pass, draw, module path in the unwrapped model,
how many masks that module has drawn in this forward), so that an extra pass, or an extra draw elsewhere, shifts
nothing: pass 0 has the same masks in every arm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from stabbench.seeding import TrialSeeds, derive
from stabbench.training.masks import attention, dropout, kept


class MatchedDropout:
    """Draws the masks of a model's forwards by place, and hashes those of the first one.

    Every call of ``torch.nn.functional.dropout`` and of ``scaled_dot_product_attention`` with dropout is met, whichever
    module makes it. On an accelerator attention stays its own fused kernel, seeded by the place; what else may draw
    finds a global generator that was seeded by (step, micro-batch, pass, draw).
    """

    def __init__(self, model: nn.Module, seeds: TrialSeeds) -> None:
        self._seed = seeds.stream("dropout")
        self._place: tuple[int, ...] = (0, 0, 0, 0)
        self._entered, self._recording = False, False
        self._digest: Any = hashlib.sha256()
        self._handles: list[RemovableHandle] = []
        self._modules: set[nn.Module] = set()
        self._inside: list[tuple[str, bool]] = []
        self._drawn: dict[tuple[str, bool], int] = {}
        self._name_places(model, own=True)

    def include(self, model: nn.Module) -> None:
        """Match the stochastic modules that stabilizers have put into the model, such as the dropout of adapters.

        They are seeded by their own paths, so that what the model's own modules draw is not shifted. They are not part
        of the hash, so that an arm with them agrees with one without.
        """
        self._name_places(model, own=False)

    @contextmanager
    def drawing(self, step: int, micro_batch: int, backward_pass: int, draw: int) -> Iterator[None]:
        """Draw the masks of one forward, which must happen within; the same place has the same masks again."""
        # Not by the place alone: further passes of the first step may have its masks.
        self._recording = not self._entered
        self._entered = True
        self._place = (step, micro_batch, backward_pass, draw)
        self._inside, self._drawn = [("", True)], {}
        _seed_global(derive(self._seed, *self._place))
        with _Met(self):
            yield

    @property
    def hash(self) -> str:
        """Sha256 of the masks of the first forward of the first step.

        Masks inside a fused kernel of an accelerator cannot be seen; there the seed is hashed, and the shape.
        """
        return str(self._digest.hexdigest())

    def remove(self) -> None:
        """Take all hooks off the model."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def mask(self, shape: torch.Size, p: float, device: torch.device) -> Tensor:
        """Return the next bool mask of the module that runs, true where a value is kept."""
        seed, path, own = self._next()
        keep = kept(shape, p, seed, device)
        if self._recording and own:
            self._digest.update(path.encode() + np.packbits(keep.cpu().numpy()).tobytes())
        return keep

    def seed_kernel(self, shape: torch.Size) -> None:
        """Seed the global generator for a fused kernel that draws a mask by itself."""
        seed, path, own = self._next()
        _seed_global(seed)
        if self._recording and own:
            self._digest.update(f"{path}:{seed}:{tuple(shape)}".encode())

    def _next(self) -> tuple[int, str, bool]:
        path, own = place = self._inside[-1]
        count = self._drawn[place] = self._drawn.get(place, 0) + 1
        whose = () if own else ("inserted",)
        return derive(self._seed, *self._place, path, count, *whose), path, own

    def _name_places(self, model: nn.Module, own: bool) -> None:
        """Have every module that may draw say that it runs, under its path."""
        for path, module in model.named_modules():
            if module not in self._modules and _may_draw(module):
                self._modules.add(module)
                self._handles.append(module.register_forward_pre_hook(self._enters(path, own)))
                self._handles.append(module.register_forward_hook(self._leaves))

    def _enters(self, path: str, own: bool) -> Callable[..., None]:
        def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._inside.append((path, own))

        return enter

    def _leaves(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        self._inside.pop()


class _Met(TorchFunctionMode):
    """Gives matched masks to the functions of PyTorch that would draw their own."""

    def __init__(self, matched: MatchedDropout) -> None:
        super().__init__()
        self._matched = matched

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is functional.dropout:
            return self._dropout(*args, **(kwargs or {}))
        if func is functional.scaled_dot_product_attention:
            return self._attention(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _dropout(self, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return input
        found = dropout(input, self._matched.mask(input.shape, p, input.device), p)
        return input.copy_(found) if inplace else found

    def _attention(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        shape = torch.Size((*query.shape[:-1], key.shape[-2]))
        if query.device.type == "cpu" and dropout_p > 0 and not is_causal and not enable_gqa:
            keep = self._matched.mask(shape, dropout_p, query.device)
            return attention(query, key, value, attn_mask, keep, dropout_p, scale)
        if dropout_p > 0:
            self._matched.seed_kernel(shape)
        return functional.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )


def _seed_global(seed: int) -> None:
    """Set the global random state.

    `torch.manual_seed` also queues a seeding of every accelerator that is not there, with a formatted stack: 0.1 ms a
    time, and kept for good. Without one the processor's generator is all there is.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _may_draw(module: nn.Module) -> bool:
    """Tell whether a module is an ``nn.Dropout``, or owns one or a number called dropout, as attention does."""
    return (
        isinstance(module, nn.Dropout)
        or any(isinstance(child, nn.Dropout) for child in module.children())
        or any("dropout" in name and isinstance(value, float) for name, value in vars(module).items())
    )
