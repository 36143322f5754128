"""How sharp the minimum is that training ended in: by one ascent step, and by the largest curvature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from stabbench.errors import ConfigurationError
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.subject import Subject
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Measurement
from stabbench.seeding import derive
from stabbench.training.gradient_probe import fixed_sample

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Sharpness(Probe):
    """Rise of the loss after SAM's ascent step, and the Hessian's largest eigenvalue, on fixed training examples.

    ``sharpness.sam`` is how much plain cross-entropy rises where all weights move by ρ along the gradient;
    ``sharpness.largest_eigenvalue`` is the eigenvalue of the loss's Hessian that is largest in absolute value, by power
    iteration (it can be negative off a minimum). Both NaN where the loss or a gradient is not finite, sam 0 where the
    gradient is zero. Evaluation mode, float32. Where there is no training split (an audited checkpoint) the test split
    is used.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "dense"
    paper: ClassVar[str] = (
        "Foret et al. 2021, arXiv:2010.01412 (ascent step); PyHessian: Yao et al. 2020, arXiv:1912.07145 (power "
        "iteration)"
    )
    equation: ClassVar[str] = """
        sam = L(θ + ρ g/‖g‖₂) − L(θ), g = ∇L(θ); eigenvalue: v ← Hv/‖Hv‖ until vᵀHv changes by less than `tolerance`.
    """
    changes: ClassVar[str] = "Nothing: moved weights are other tensors."
    cost: ClassVar[str] = """
        Two forward passes and a backward pass over `examples` texts, and per iteration a forward and two backward ones.
    """
    departures: ClassVar[str] = "The start of the power iteration is fixed by a hash, so that arms and seeds compare."
    pitfalls: ClassVar[str] = """
        Neither is invariant to rescaled weights: compare arms of one model at one ρ. SGD is stable below 2/η; Adam's
        limit is that of its preconditioned Hessian, which is not what is measured here.
    """

    examples: Annotated[int, Field(ge=1, description="training examples, chosen by a hash of their ids")] = 64
    rho: Annotated[float, Field(gt=0, description="ρ: length of the ascent step")] = 0.05
    iterations: Annotated[int, Field(ge=0, description="power iterations at most; 0 leaves the eigenvalue out")] = 20
    tolerance: Annotated[float, Field(gt=0, description="relative change of the eigenvalue that ends them")] = 1e-3

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return both numbers.

        Raises:
            ConfigurationError: the subject has no torch model.
        """
        if subject.model is None:
            raise ConfigurationError(["probes: 'sharpness' needs a torch model; this subject has none"])
        chosen = fixed_sample(context.dataset.train or context.dataset.test, self.examples, "sharpness")
        encoded = encode_texts(subject.tokenizer, [example.content for example in chosen], subject.max_length)
        batch = collate(encoded, subject.tokenizer, [example.label for example in chosen])
        weights = {name: p.detach() for name, p in subject.model.named_parameters()}
        n = len(chosen)
        loss = Loss(subject.model, batch.to(next(iter(weights.values())).device))
        found = [Measurement("sharpness.sam", ascent(loss, weights, self.rho), "nats", "lower", {}, n, self.examples)]
        if self.iterations:
            value = largest_eigenvalue(loss, weights, self.iterations, self.tolerance)
            found.append(Measurement("sharpness.largest_eigenvalue", value, "curvature", "lower", {}, n, self.examples))
        return found


class Loss:
    """Plain mean cross-entropy of a batch as a function of the weights; the model's own are not touched."""

    def __init__(self, model: nn.Module, batch: Batch) -> None:
        self._model, self._batch = model, batch

    def __call__(self, weights: Weights) -> Tensor:
        """Return the loss, a scalar in float32."""
        assert self._batch.labels is not None
        # Fused attention has no second derivative.
        with sdpa_kernel(SDPBackend.MATH):
            logits = functional_call(self._model, weights, kwargs=self._batch.inputs()).logits
        return nn.functional.cross_entropy(logits.float(), self._batch.labels)

    def gradient(self, weights: Weights) -> list[Tensor]:
        """Return ∇L, in the order of the weights."""
        leaves = _leaves(weights)
        return _gradients(self(leaves), list(leaves.values()))

    def curvature(self, weights: Weights, direction: Sequence[Tensor]) -> list[Tensor]:
        """Return H·v = ∇⟨∇L, v⟩."""
        leaves = _leaves(weights)
        first = _gradients(self(leaves), list(leaves.values()), create_graph=True)
        return _gradients(_inner(first, direction), list(leaves.values()))


def ascent(loss: Loss, weights: Weights, rho: float) -> float:
    """Return L(θ + ρ g/‖g‖) − L(θ); 0 where g = 0, NaN where something is not finite."""
    gradient = loss.gradient(weights)
    norm = _inner(gradient, gradient).sqrt()
    if not math.isfinite(float(norm)):
        return math.nan
    if float(norm) == 0:
        return 0.0
    moved = {name: w + (rho / norm) * g for (name, w), g in zip(weights.items(), gradient, strict=True)}
    with torch.no_grad():
        return float(loss(moved) - loss(weights))


def largest_eigenvalue(loss: Loss, weights: Weights, iterations: int, tolerance: float) -> float:
    """Return the eigenvalue of the Hessian that is largest in absolute value, by power iteration from a fixed start."""
    generator = torch.Generator().manual_seed(derive("sharpness", "start"))
    start = [torch.randn(w.shape, generator=generator).to(w) for w in weights.values()]
    direction, value = _unit(start), math.nan
    for _ in range(iterations):
        product = loss.curvature(weights, direction)
        before, value = value, float(_inner(product, direction))
        if not math.isfinite(value) or value == 0:
            break
        if abs(value - before) <= tolerance * abs(value):
            break
        direction = _unit(product)
    return value


def _leaves(weights: Weights) -> Weights:
    return {name: weight.clone().requires_grad_() for name, weight in weights.items()}


def _gradients(value: Tensor, leaves: list[Tensor], create_graph: bool = False) -> list[Tensor]:
    found = torch.autograd.grad(value, leaves, create_graph=create_graph, allow_unused=True)
    return [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True)]


def _inner(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)]).sum()


def _unit(vector: Sequence[Tensor]) -> list[Tensor]:
    norm = _inner(vector, vector).sqrt()
    return [part / norm for part in vector]
