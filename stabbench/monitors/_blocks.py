"""Norms per block of tensors that belong to a model's trainable parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy


class Blocks:
    """Which trainable parameter belongs to which block, and norms summed so: √Σ_{p∈l} ‖t_p‖² for block l, (L,)."""

    def __init__(self, model: nn.Module, anatomy: Anatomy) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.parameters = [parameter for _, parameter in named]
        self.size = len(anatomy.block_names)
        blocks = [anatomy.block_names.index(anatomy.block_of[name]) for name, _ in named]
        self._block = torch.tensor(blocks, device=self.parameters[0].device)
        self._scratch: Tensor | None = None

    def sum(self, values: Tensor) -> Tensor:
        """Return (…, L) sums over each block of (…, P) values, one per parameter."""
        found = values.new_zeros((*values.shape[:-1], self.size))
        return found.index_add_(-1, self._block, values)

    def joined(self, norms: Tensor) -> Tensor:
        """Return (…, L) norms of blocks from (…, P) norms of parameters."""
        return self.sum(norms.square()).sqrt()

    def norms(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return (L,) norms of tensors in the order of the parameters."""
        return self.joined(torch.stack(torch._foreach_norm(list(tensors))))

    def weights(self) -> list[Tensor]:
        """Return the parameters as plain tensors that share their memory."""
        return [parameter.detach() for parameter in self.parameters]

    def distance(self, reference: Sequence[Tensor]) -> Tensor:
        """Return (L,) ‖θ_l − reference_l‖, with one tensor of scratch memory that is kept.

        Fresh memory for a difference of all weights costs more in page faults than the arithmetic.
        """
        if self._scratch is None:
            largest = max(self.parameters, key=lambda p: p.numel())
            self._scratch = torch.empty(largest.numel(), dtype=largest.dtype, device=largest.device)
        found = []
        for weight, other in zip(self.weights(), reference, strict=True):
            into = self._scratch[: weight.numel()].view(weight.shape)
            found.append(torch.sub(weight, other, out=into).norm())
        return self.joined(torch.stack(found))
