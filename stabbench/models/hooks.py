"""Looking into a model and changing what flows through it, undone on the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


@contextmanager
def changed_output(module: nn.Module, change: Change) -> Iterator[None]:
    """Apply `change` to what `module` gives, (B, T, H), for as long as the context lasts.

    A block gives a tensor or a tuple whose first part is the hidden state, as the libraries' versions have it.
    """

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        return change(output) if isinstance(output, Tensor) else (change(output[0]), *output[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def recorded_outputs(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """Give a list that holds, after a forward pass, the output (B, T, H) of each module, in their order of running."""
    seen: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        seen.append(output if isinstance(output, Tensor) else output[0])

    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
