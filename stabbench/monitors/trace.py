"""The trace of a training: losses, gradient norms per block before and after stabilizers act, and update ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy
from stabbench.monitors.base import Monitor, Step
from stabbench.records import Measurement


@dataclass(kw_only=True)
class Trace(Monitor):
    """Records every step's loss and gradient norms per block, and ‖Δθ‖/‖θ‖ per block every few steps.

    A block's norm is √Σ‖g_p‖² over its parameters p. Arrays in ``trace.npz`` (T steps, L blocks, K updates): step (T,),
    cross_entropy (T,), objective (T,), learning_rate (T,), raw_norm (T, L), applied_norm (T, L), update_step (K,),
    update_ratio (K, L).
    """

    paper = "norms per block before and after clipping, as logged by Mosbach et al. (2021), arXiv:2006.04884"
    equation = "‖g_l‖ = √Σ_{p∈l} ‖g_p‖²;  update ratio = ‖θ_{t+1} − θ_t‖ / ‖θ_t‖ per block l"
    changes = "nothing"
    cost = (
        "one read of the gradients per step (two where a stabilizer changes them); two reads of the weights per update"
    )
    pitfalls = "raw norms of R-Drop or FGM are gradients of another objective; compare arms on the gradient probe"

    update_every: Annotated[int, Field(ge=1, description="steps between two update ratios")] = 20
    spike_window: Annotated[int, Field(ge=2, description="steps that a spike is judged against")] = 25
    spike_factor: Annotated[float, Field(gt=1, description="a norm above this many window medians is a spike")] = 3.0

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Lay out which parameter belongs to which block."""
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self._parameters = [parameter for _, parameter in named]
        blocks = [anatomy.block_names.index(anatomy.block_of[name]) for name, _ in named]
        self._block = torch.tensor(blocks, device=named[0][1].device)
        self._size = len(anatomy.block_names)
        self._steps: list[Step] = []
        self._update_steps: list[int] = []
        self._ratios: list[Tensor] = []
        self._before: list[Tensor] | None = self._copy()

    def observe(self, step: Step) -> None:
        """Keep the step's tensors on the device; measure the update where its turn has come."""
        if self._before is not None:
            self._ratios.append(self._ratio(self._before))
            self._update_steps.append(step.index)
            self._before = None
        if (step.index + 1) % self.update_every == 0:
            self._before = self._copy()
        self._steps.append(step)

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        ratios = torch.stack(self._ratios).cpu().numpy() if self._ratios else np.zeros((0, self._size), np.float32)
        return {
            "step": np.array([step.index for step in self._steps]),
            "cross_entropy": self._column([step.cross_entropy for step in self._steps]),
            "objective": self._column([step.objective for step in self._steps]),
            "learning_rate": np.array([step.learning_rate for step in self._steps]),
            "raw_norm": self._by_block([step.raw_norms for step in self._steps]),
            "applied_norm": self._by_block([step.applied_norms for step in self._steps]),
            "update_step": np.array(self._update_steps, dtype=np.int64),
            "update_ratio": ratios,
        }

    def measurements(self) -> list[Measurement]:
        """Return the mean global norms, the share of steps whose gradients were changed, and the number of spikes."""
        raw = torch.stack([step.raw_norms for step in self._steps]).square().sum(dim=1).sqrt().cpu().numpy()
        applied = torch.stack([step.applied_norms for step in self._steps]).square().sum(dim=1).sqrt().cpu().numpy()
        n = len(self._steps)
        # A gradient that is not finite was not left as it was: unequal to itself, it counts as changed.
        clipped = float((~(applied >= raw * (1 - 1e-4))).mean())
        spikes = spike_count(raw, self.spike_window, self.spike_factor)
        return [
            Measurement("gradient.raw_norm", float(raw.mean()), "norm", "neither", {}, n, n),
            Measurement("gradient.applied_norm", float(applied.mean()), "norm", "neither", {}, n, n),
            Measurement("gradient.clip_rate", clipped, "share", "neither", {}, n, n),
            Measurement("gradient.spikes", float(spikes), "count", "lower", {}, n, n),
        ]

    def _copy(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._parameters]

    def _ratio(self, before: list[Tensor]) -> Tensor:
        weights = torch.stack(torch._foreach_norm(before))
        difference = torch._foreach_sub([p.detach() for p in self._parameters], before)
        return self._blocks(torch.stack(torch._foreach_norm(difference))) / self._blocks(weights)

    def _blocks(self, norms: Tensor) -> Tensor:
        return norms.new_zeros(self._size).index_add_(0, self._block, norms.square()).sqrt()

    def _by_block(self, norms: list[Tensor]) -> np.ndarray:
        squares = torch.stack(norms).square()
        found = squares.new_zeros((len(norms), self._size)).index_add_(1, self._block, squares).sqrt()
        array: np.ndarray = found.cpu().numpy()
        return array

    def _column(self, values: list[Tensor]) -> np.ndarray:
        array: np.ndarray = torch.stack(values).float().cpu().numpy()
        return array


def spike_count(norms: np.ndarray, window: int, factor: float) -> int:
    """Return how many norms are above `factor` × the median of the up to `window` norms before them.

    A norm that is not finite is a spike. The first `window` steps are judged too, once five norms stand before them.

    Args:
        norms: (T,) global norms.
        window: steps.
        factor: above 1.
    """
    spikes = 0
    for index, norm in enumerate(norms):
        before = norms[max(0, index - window) : index]
        before = before[np.isfinite(before)]
        if not np.isfinite(norm):
            spikes += 1
        elif len(before) >= 5:
            spikes += bool(norm > factor * np.median(before))
    return spikes
