"""Noise stability: what noise in one block's output does to the blocks above it is penalised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import Anatomy
from stabbench.models.batch import Batch
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._draws import generator
from stabbench.stabilizers.base import Forward, Loss, Objective, Place, Stabilizer


@dataclass(kw_only=True)
class Lnsr(Stabilizer):
    """Adds noise to the output of one block and penalises how far the outputs of all higher blocks move."""

    paper = "Hua et al. (2021), arXiv:2107.04835 (layer-wise noise stability regularization)"
    equation = (
        "L(x) + λ Σ_{r>b} mean((f_r(h_b + ε) − f_r(h_b))²), f_r(h_b) the output of block r when that of block b is "
        "h_b, ε Gaussian with ‖ε‖₂ = s ‖h_b‖₂ at each token; the mean is over tokens and hidden units"
    )
    changes = "the objective"
    cost = "2 forward and 2 backward passes per step: the noisy one runs through the blocks below b too"
    departures = (
        "written from the paper's abstract and Figure 1 (noise of 5 % of the norm, from one layer upwards); its "
        "algorithm and settings were not at hand, so that the mean over tokens and units, one λ for all blocks and "
        "the default of b are ours. Both passes have the same dropout masks, or dropout would be measured instead. "
        "Noise in the manifold of the data, of a later paper, is not here"
    )
    pitfalls = (
        "outputs of blocks can be made stable by making them small, where no normalisation follows. λ is on the scale "
        "of squared hidden units, and does not carry over between kinds of models"
    )
    null = {"weight": 0.0}
    streams = frozenset({"extra"})
    passes = ("2 if weight else 1", "2 if weight else 1")

    weight: Annotated[float, Field(ge=0, description="λ: weight of the penalty; 0: plain training")] = 1.0
    noise: Annotated[float, Field(gt=0, description="s: length of the noise relative to the hidden state's")] = 0.05
    block: Annotated[int, Field(ge=0, description="b: block whose output gets the noise; 0 is the lowest")] = 0

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Listen at block b and those above it.

        Raises:
            ConfigurationError: there is no block above b.
        """
        depth = len(anatomy.blocks)
        if depth < 2:
            raise ConfigurationError(["stabilizers: lnsr needs a model of two blocks or more; leave it out"])
        if self.block > depth - 2:
            raise ConfigurationError(
                [
                    f"stabilizers.lnsr.block: {self.block}, but the model has {depth} blocks and one must be above it; "
                    f"choose 0 to {depth - 2}"
                ]
            )
        self._seed = seeds.stream("extra")
        self._place = Place(0, 0, 0, 0)
        self._noisy = False
        self._states: list[Tensor] | None = None
        above = anatomy.blocks[self.block + 1 :]
        self._handles = [anatomy.blocks[self.block].register_forward_hook(self._disturb)]
        self._handles += [block.register_forward_hook(self._record) for block in above]

    def wrap_loss(self, loss: Loss) -> Loss:
        """Return the objective with the penalty of a second, noisy pass."""
        if self.weight == 0:
            return loss

        def stable(forward: Forward, batch: Batch) -> Objective:
            clean: list[Tensor] = []

            def watched(batch: Batch, draw: int = 0) -> Tensor:
                return forward(batch, draw) if clean else self._recorded(clean, lambda: forward(batch, draw))

            objective = loss(watched, batch)
            moved: list[Tensor] = []
            self._noisy = True
            self._recorded(moved, lambda: forward(batch))
            self._noisy = False
            total = objective.total + self.weight * instability(clean, moved, batch.attention_mask)
            return Objective(total, objective.cross_entropy, objective.logits)

        return stable

    def on_forward(self, batch: Batch, place: Place) -> None:
        """Remember the place, by which the noise is drawn."""
        self._place = place

    def finish_model(self, model: nn.Module) -> None:
        """Stop listening."""
        for handle in self._handles:
            handle.remove()

    def _recorded(self, states: list[Tensor], forward: Callable[[], Tensor]) -> Tensor:
        self._states = states
        try:
            return forward()
        finally:
            self._states = None

    def _disturb(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        if not self._noisy:
            return None
        hidden: Tensor = output[0] if isinstance(output, tuple) else output
        draws = generator(hidden.device, self._seed, "lnsr", *self._place)
        drawn = torch.randn(hidden.shape, generator=draws, device=hidden.device)
        moved = hidden + relative_noise(hidden.detach(), drawn, self.noise).to(hidden.dtype)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    def _record(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if self._states is not None:
            self._states.append(output[0] if isinstance(output, tuple) else output)


def relative_noise(hidden: Tensor, drawn: Tensor, share: float) -> Tensor:
    """Return `drawn` (B, T, H) scaled at each token to a length of `share` times that of the hidden state there."""
    lengths = torch.linalg.vector_norm(drawn, dim=-1, keepdim=True)
    wanted = share * torch.linalg.vector_norm(hidden.float(), dim=-1, keepdim=True)
    return drawn * (wanted / lengths)  # type: ignore[no-any-return]


def instability(clean: Sequence[Tensor], moved: Sequence[Tensor], attention_mask: Tensor) -> Tensor:
    """Return Σ_r mean((moved_r − clean_r)²), the mean over real tokens and hidden units, for lists of (B, T, H)."""
    real = attention_mask.unsqueeze(-1).float()
    squares = [((b.float() - a.float()).square() * real).mean(dim=-1).sum() for a, b in zip(clean, moved, strict=True)]
    total: Tensor = torch.stack(squares).sum() / real.sum()
    return total
