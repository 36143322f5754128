"""What the optimizers of this package share: one step over lists of tensors, and states that wait for no device."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class ForeachOptimizer(Optimizer):
    """An optimizer whose step handles all parameters of a group together and reads nothing back from the device."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Do one step over the parameters that have a gradient; a frozen one has none. `closure` is not called."""
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                self._update(group, parameters, [parameter.grad for parameter in parameters])

    @abstractmethod
    def _update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Change the parameters in place, and leave the gradients as they are."""

    def _state(self, parameter: Tensor, *zeros: str) -> dict[str, Any]:
        """Return a parameter's state with its ``step`` counted up: 1 at its first gradient, which may come late.

        `zeros` name the tensors of the parameter's shape that begin at zero. Steps are numbers of the host, so that
        corrections by them wait for no device.
        """
        assert isinstance(parameter, nn.Parameter)
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["step"] = 0
            for name in zeros:
                state[name] = torch.zeros_like(parameter)
        state["step"] += 1
        return state
