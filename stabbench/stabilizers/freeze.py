"""Lower parts of the model kept as pretrained, for the whole run or at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn
from torch.optim import Optimizer

from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import Anatomy
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers._shares import steps_of
from stabbench.stabilizers.base import Stabilizer


@dataclass(kw_only=True)
class Freeze(Stabilizer):
    """Does not train the embeddings and the lowest blocks, or anything but the head, for all or the first steps."""

    paper = (
        "Lee, Tang & Lin (2019), arXiv:1911.03090 (lowest blocks); Kumar et al. (2022), arXiv:2202.10054 (head first, "
        "then all: LP-FT); Howard & Ruder (2018), arXiv:1801.06146 (gradual unfreezing)"
    )
    equation = (
        "θ_p stays θ⁰_p while p is frozen. Of P frozen parts all thaw at step ⌈uT⌉, or one by one from the top: the "
        "i-th of them at step ⌈⌈uT⌉ i/P⌉; with u = 1 they never do"
    )
    changes = "which parameters are trained, and when; the optimizer's state of a part begins when it thaws"
    cost = "less than without it: no backward pass below the lowest trained part"
    departures = (
        "dropout stays on in frozen parts, so that masks match the other arms'; parts thaw evenly spaced over the "
        "first uT steps instead of one an epoch; after a thaw the learning rate goes on as scheduled, while LP-FT "
        "starts a second run with its own"
    )
    pitfalls = (
        "gradients of frozen parts count as 0 in norms and in the gradient probe, and the update ratio of a part that "
        "never trains is 0 or undefined: compare arms on blocks that both train. A frozen model needs a larger "
        "learning rate. Parts that thaw late meet a rate that has already decayed"
    )
    null = {"embeddings": False, "blocks": 0, "head_only": False}
    owns = frozenset({"the choice of trained weights"})

    embeddings: Annotated[bool, Field(description="freeze the embeddings")] = True
    blocks: Annotated[int, Field(ge=0, description="how many blocks are frozen, from the lowest")] = 1
    head_only: Annotated[bool, Field(description="freeze all but the head, whatever the other two say")] = False
    until: Annotated[
        float, Field(ge=0, le=1, description="u: share of all steps after which everything trains; 1: never")
    ] = 1.0
    thaw: Annotated[
        Literal["together", "gradual"], Field(description="all parts at once, or one by one from the top")
    ] = "together"

    def prepare_model(self, model: nn.Module, anatomy: Anatomy, seeds: TrialSeeds, steps: int) -> None:
        """Freeze for good what never thaws, and plan when the rest does.

        Raises:
            ConfigurationError: the model has fewer blocks than are to be frozen.
        """
        frozen = self._frozen(anatomy)
        parameters: dict[str, list[nn.Parameter]] = {name: [] for name in frozen}
        for name, parameter in model.named_parameters():
            if anatomy.block_of[name] in parameters:
                parameters[anatomy.block_of[name]].append(parameter)
        planned = list(zip(self._thaw_steps(len(frozen), steps), parameters.values(), strict=True))
        self._never = [part for thaws, part in planned if thaws >= steps]
        self._later = [(thaws, part) for thaws, part in planned if thaws < steps]
        for part in self._never:
            _train(part, False)

    def on_start(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Freeze what the optimizer holds because it thaws later."""
        for thaws, part in self._later:
            _train(part, thaws == 0)

    def on_step(self, model: nn.Module, step: int) -> None:
        """Thaw the parts whose first step is the next one."""
        for thaws, part in self._later:
            if thaws == step + 1:
                _train(part, True)

    def finish_model(self, model: nn.Module) -> None:
        """Leave a model of which everything can be trained."""
        for part in (*self._never, *(part for _, part in self._later)):
            _train(part, True)

    def _frozen(self, anatomy: Anatomy) -> list[str]:
        """Return the names of the frozen parts, from the bottom up."""
        if self.head_only:
            return [name for name in anatomy.block_names if name != "head"]
        depth = len(anatomy.blocks)
        if self.blocks > depth:
            raise ConfigurationError(
                [f"stabilizers.freeze.blocks: {self.blocks}, but the model has {depth} blocks; choose 0 to {depth}"]
            )
        return ["embeddings"] * self.embeddings + [f"block.{index}" for index in range(self.blocks)]

    def _thaw_steps(self, parts: int, steps: int) -> list[int]:
        """Return the first step at which each part trains, from the bottom up; `steps` or more is never."""
        last = steps_of(self.until, steps)
        if self.thaw == "together":
            return [last] * parts
        return [-(-last * index // parts) for index in range(parts, 0, -1)]


def _train(part: list[nn.Parameter], trained: bool) -> None:
    for parameter in part:
        parameter.requires_grad_(trained)
