"""Matched dropout: the random state is set anew before every stochastic module.

The seed is a function of (dropout stream, step, micro-batch, pass, draw, module path in the unwrapped model), so that
an extra pass, or an extra draw elsewhere, shifts nothing: pass 0 has the same masks in every arm.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from stabbench.seeding import TrialSeeds, derive


class MatchedDropout:
    """Reseeds before each stochastic module of a model in training mode, and hashes the masks of the first forward.

    Stochastic are: every ``nn.Dropout`` with p > 0, and every module that owns one or a positive ``…dropout…`` number,
    because attention passes its p on to a fused kernel.
    """

    def __init__(self, model: nn.Module, seeds: TrialSeeds) -> None:
        self._seed = seeds.stream("dropout")
        self._place: tuple[int, ...] = (0, 0, 0, 0)
        self._entered = False
        self._digest: Any = hashlib.sha256()
        self._recording: list[RemovableHandle] = []
        self._handles: list[RemovableHandle] = []
        self._own = set(model.modules())
        for path, module in model.named_modules():
            if _is_dropout(module) or _owns_dropout(module):
                self._handles.append(module.register_forward_pre_hook(self._reseeder(path)))
                self._recording.append(module.register_forward_hook(self._recorder(path)))

    def include(self, model: nn.Module) -> None:
        """Match the stochastic modules that stabilizers have put into the model, such as the dropout of adapters.

        They are seeded by their own paths, and leave the random state as they found it: what the model's own modules
        draw after them is not shifted. They are not part of the hash, so that an arm with them agrees with one without.
        """
        for path, module in model.named_modules():
            if module not in self._own and (_is_dropout(module) or _owns_dropout(module)):
                self._isolate(module, path)

    def enter(self, step: int, micro_batch: int, backward_pass: int, draw: int) -> None:
        """Say which forward comes next."""
        # Not by the place alone: further passes of the first step may have its masks.
        if self._entered:
            self._stop_recording()
        self._entered = True
        self._place = (step, micro_batch, backward_pass, draw)

    @property
    def hash(self) -> str:
        """Sha256 of the masks of the first forward of the first step.

        Of an ``nn.Dropout`` the zeros that it really made are hashed, and where its input was 0 already, as bf16 gives
        now and then, those that the same draw makes of ones: the values of two models differ, their masks must not.
        Inside a fused attention kernel masks cannot be seen, so the state in which it leaves the random generator is,
        which fixes where it began and how much it drew.
        """
        return str(self._digest.hexdigest())

    def remove(self) -> None:
        """Take all hooks off the model."""
        self._stop_recording()
        for handle in self._handles:
            handle.remove()

    def _stop_recording(self) -> None:
        for handle in self._recording:
            handle.remove()
        self._recording = []

    def _isolate(self, module: nn.Module, path: str) -> None:
        reseed = self._reseeder(path)
        forks: list[AbstractContextManager[None]] = []

        def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            device = inputs[0].device
            forks.append(torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type))
            forks[-1].__enter__()
            reseed(module, inputs)

        def leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            forks.pop().__exit__(None, None, None)

        self._handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]

    def _reseeder(self, path: str) -> Any:
        def reseed(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if module.training:
                _seed(derive(self._seed, *self._place, path))

        return reseed

    def _recorder(self, path: str) -> Any:
        def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not module.training:
                return
            self._digest.update(path.encode())
            if _is_dropout(module):
                hidden = inputs[0] == 0
                mask = (output == 0) & ~hidden
                if bool(hidden.any()):
                    mask |= hidden & self._drawn(inputs[0], module, path)
                self._digest.update(mask.cpu().numpy().tobytes())
            else:
                self._digest.update(torch.get_rng_state().numpy().tobytes())

        return record

    def _drawn(self, like: Tensor, module: nn.Dropout, path: str) -> Tensor:
        """Return the mask that the module draws at this place, of ones; the random state is left as it was."""
        device = like.device
        with torch.random.fork_rng([] if device.type == "cpu" else [device], device_type=device.type):
            _seed(derive(self._seed, *self._place, path))
            return nn.functional.dropout(torch.ones_like(like), module.p) == 0


def _seed(seed: int) -> None:
    """Set the random state that dropout draws from.

    `torch.manual_seed` also queues a seeding of every accelerator that is not there, with a formatted stack: 0.1 ms a
    time, and kept for good. Without one the processor's generator is all there is.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _is_dropout(module: nn.Module) -> TypeGuard[nn.Dropout]:
    return isinstance(module, nn.Dropout) and module.p > 0


def _owns_dropout(module: nn.Module) -> bool:
    numbers = (value for name, value in vars(module).items() if "dropout" in name and isinstance(value, float))
    return any(_is_dropout(child) for child in module.children()) or any(value > 0 for value in numbers)
