"""What goes on inside the encoder: saturation of the pooler, and a bound on the attention logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from stabbench.models.anatomy import Anatomy
from stabbench.models.attention import projections
from stabbench.monitors.base import Monitor, Step
from stabbench.records import Measurement


@dataclass(kw_only=True)
class Activations(Monitor):
    """Records the share of saturated pooler outputs and, per block, an upper bound on the attention logits.

    Arrays in ``trace.npz`` (K measured steps, A blocks with attention), float32: activation_step (K,) int64,
    pooler_saturation (K,), attention_bound (K, A). Seen is the first training pass of a step. A model without a pooler
    that ends in tanh has no pooler_saturation (RoBERTa, DistilBERT), one whose queries and keys are not made by maps of
    their own has no attention_bound.

    Measured are ``train.pooler_saturation``, that of the last measured step, and ``train.attention_bound``, the largest
    of all steps and blocks; a model that has neither gives ``train.activations`` with no value.
    """

    paper = "tanh saturation as logged by Mosbach et al. (2021), arXiv:2006.04884"
    equation = (
        "saturation = share of |tanh z| ≥ 0.99;  q_iᵀk_j/√d ≤ max_i ‖q_i‖ · max_j ‖k_j‖ / √d per text and head, then "
        "the largest of a block"
    )
    changes = "nothing"
    cost = "two reads of the queries and keys of a measured step"
    departures = (
        "the bound stands for the largest attention logit, so that attention itself stays fused; padding counts"
    )
    pitfalls = "a bound: it says that logits are small where it is small, not that they are large where it is large"

    every: Annotated[int, Field(ge=1, description="steps between two measurements")] = 5
    saturated: Annotated[float, Field(gt=0, lt=1, description="|tanh| from which a unit is saturated")] = 0.99

    def start(self, model: nn.Module, anatomy: Anatomy, steps: int) -> None:
        """Put the hooks in place."""
        self._due = True
        self._steps: list[int] = []
        self._now: dict[Any, Tensor] = {}
        self._saturation: list[Tensor] = []
        self._bounds: list[Tensor] = []
        self._handles: list[RemovableHandle] = []
        if anatomy.pooler is not None and any(isinstance(module, nn.Tanh) for module in anatomy.pooler.modules()):
            self._watch(anatomy.pooler, "pooler", self._saturated)
        heads = int(getattr(model.config, "num_attention_heads", 0))
        found = [projections(block, heads) for block in anatomy.blocks] if heads else []
        self._pairs = [pair for pair in found if pair is not None]
        for index, pair in enumerate(self._pairs):
            self._watch(pair.query, (index, "query"), self._longest(pair.heads))
            self._watch(pair.key, (index, "key"), self._longest(pair.heads))

    def observe(self, step: Step) -> None:
        """Keep what the hooks have seen, and say whether they look at the next step."""
        if self._due and self._now:
            self._steps.append(step.index)
            if "pooler" in self._now:
                self._saturation.append(self._now["pooler"])
            if self._pairs:
                self._bounds.append(torch.stack([self._bound(index) for index in range(len(self._pairs))]))
        self._now = {}
        self._due = (step.index + 1) % self.every == 0

    def end(self) -> None:
        """Take the hooks off."""
        for handle in self._handles:
            handle.remove()

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays named in the class docstring."""
        found: dict[str, np.ndarray] = {"activation_step": np.array(self._steps, dtype=np.int64)}
        if self._saturation:
            found["pooler_saturation"] = torch.stack(self._saturation).float().cpu().numpy()
        if self._bounds:
            found["attention_bound"] = torch.stack(self._bounds).float().cpu().numpy()
        return found

    def measurements(self) -> list[Measurement]:
        """Return the numbers named in the class docstring; n counts measured steps."""
        arrays, n = self.arrays(), len(self._steps)
        found = []
        if "pooler_saturation" in arrays:
            last = float(arrays["pooler_saturation"][-1])
            found.append(Measurement("train.pooler_saturation", last, "share", "neither", {}, 1, n))
        if "attention_bound" in arrays:
            largest = float(arrays["attention_bound"].max())
            found.append(Measurement("train.attention_bound", largest, "logit", "neither", {}, n, n))
        return found or [Measurement("train.activations", None, "share", "neither", {}, 0, n)]

    def _watch(self, module: nn.Module, name: Any, reduce: Callable[[Tensor], Tensor]) -> None:
        def see(module: nn.Module, inputs: Any, output: Any) -> None:
            if self._due and module.training and name not in self._now and isinstance(output, Tensor):
                with torch.no_grad():
                    self._now[name] = reduce(output.detach())

        self._handles.append(module.register_forward_hook(see))

    def _saturated(self, output: Tensor) -> Tensor:
        return (output.abs() >= self.saturated).float().mean()

    def _longest(self, heads: int) -> Callable[[Tensor], Tensor]:
        def reduce(output: Tensor) -> Tensor:
            """(B, T, H) → (B, heads): the longest vector of each text and head."""
            split = output.view(*output.shape[:-1], heads, -1)
            lengths: Tensor = torch.linalg.vector_norm(split, dim=-1, dtype=torch.float32)
            return lengths.amax(dim=1)

        return reduce

    def _bound(self, index: int) -> Tensor:
        product = self._now[index, "query"] * self._now[index, "key"]
        return product.max() / math.sqrt(self._size(index))

    def _size(self, index: int) -> int:
        pair = self._pairs[index]
        return int(pair.query.out_features) // pair.heads  # type: ignore[arg-type]
