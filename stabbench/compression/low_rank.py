"""``low-rank``: every linear map of the blocks as the product of two thin ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.compression._artifact import SHAPE, factor, shape_of
from stabbench.compression._parts import encoder_parts
from stabbench.compression._rebuild import Rebuild
from stabbench.compression._recovery import Teaching, teach
from stabbench.compression.base import Level, Material
from stabbench.models.subject import Subject


@dataclass(frozen=True)
class LowRank(Rebuild):
    """The linear maps of the blocks factored by singular values, weighted by what they see on training texts.

    The artifact is ``model.safetensors`` with two maps in the place of one, and the ranks in the config's entry
    ``stabbench``.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Level] = "encoder"
    gives: ClassVar[Level] = "torch"
    trains: ClassVar[bool] = True
    calibrates: ClassVar[str] = "texts"
    paper: ClassVar[str] = "Eckart & Young 1936; weighted by inputs: Wang et al. 2024, SVD-LLM, arXiv:2403.07378"
    equation: ClassVar[str] = """
        W ≈ B A of rank r = floor(keep · m n / (m + n)), the minimiser of Σ_x ‖(W − B A) x‖²: with C = Σ x xᵀ = L Lᵀ and
        the singular values of W L, B = U_r Σ_r and A = V_rᵀ L⁻¹; with texts: 0, L = I
    """
    changes: ClassVar[str] = "Query, key, value, output and both feed-forward maps of every block."
    cost: ClassVar[str] = "One forward pass of each text, a decomposition of each map; training if asked for."
    departures: ClassVar[str] = "C has 1e-4 of its mean diagonal added, so that L can be inverted."
    pitfalls: ClassVar[str] = """
        BERT's maps have no low rank: half of the numbers keeps much less than what half of them say. Two products
        instead of one: at batch 1 hardly faster.
    """

    keep: Annotated[float, Field(gt=0, lt=1, description="share of a map's numbers that is kept")] = 0.6
    texts: Annotated[int, Field(ge=0, description="training texts that weight the inputs; 0: none, all alike")] = 64
    recover_epochs: Annotated[int, Field(ge=0, description="epochs of training afterwards; 0: none")] = 0
    recover_learning_rate: Annotated[float, Field(gt=0, description="peak rate of that training")] = 5e-5

    def change(self, model: nn.Module, subject: Subject, material: Material) -> None:
        """Factor every map, and train if asked for."""
        parts = encoder_parts(model)
        known = {module: name for name, module in model.named_modules()}
        maps = {
            known[linear]: linear
            for part in parts
            for linear in (part.query, part.key, part.value, part.output, part.up, part.down)
        }
        texts = material.texts(self.texts)
        moments = _moments(model, maps, subject, texts) if texts else {}
        made = {name: factored(linear, self.keep, moments.get(name)) for name, linear in maps.items()}
        ranks = {name: pair[0].out_features for name, pair in made.items()}
        factor(model, ranks, made)
        config: Any = model.config
        setattr(config, SHAPE, {**shape_of(model), "ranks": ranks})
        how = Teaching(self.recover_epochs, self.recover_learning_rate)
        teach(model, subject, range(len(parts)), material, how)


def factored(linear: nn.Linear, keep: float, moment: Tensor | None = None) -> tuple[nn.Linear, nn.Linear]:
    """Return the two thin maps whose product is nearest to `linear` on inputs with second moment `moment`, (n, n)."""
    weight = linear.weight.detach().double()
    rank = max(1, int(keep * weight.numel() / sum(weight.shape)))
    if moment is None:
        lower = torch.eye(weight.shape[1], dtype=torch.float64)
    else:
        lower = torch.linalg.cholesky(moment + 1e-4 * moment.diagonal().mean() * torch.eye(len(moment)).double())
    left, values, right = torch.linalg.svd(weight @ lower, full_matrices=False)
    inner = nn.Linear(linear.in_features, rank, bias=False)
    outer = nn.Linear(rank, linear.out_features, bias=linear.bias is not None)
    with torch.no_grad():
        # A L = V_rᵀ, solved from the right.
        inner.weight.copy_(torch.linalg.solve_triangular(lower, right[:rank], upper=False, left=False))
        outer.weight.copy_(left[:, :rank] * values[:rank])
        if linear.bias is not None:
            outer.bias.copy_(linear.bias)
    return inner, outer


def _moments(model: nn.Module, maps: Mapping[str, nn.Linear], subject: Subject, texts: list[Any]) -> dict[str, Tensor]:
    """Return Σ x xᵀ over the real tokens of the texts for the inputs x of each map, float64."""
    found = {
        name: torch.zeros(linear.in_features, linear.in_features, dtype=torch.float64) for name, linear in maps.items()
    }

    def hook(name: str) -> Any:
        def see(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            rows = inputs[0].reshape(-1, inputs[0].shape[-1]).double()
            found[name] += rows.T @ rows

        return see

    handles = [linear.register_forward_pre_hook(hook(name)) for name, linear in maps.items()]
    try:
        with torch.no_grad():
            for text in texts:  # one at a time: padding would count
                model(**subject.encode([text]).inputs())
    finally:
        for handle in handles:
            handle.remove()
    return found
