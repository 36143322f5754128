"""``prune-structured``: heads and feed-forward units taken out by importance, whole rows and columns at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.compression._artifact import SHAPE, shape_of
from stabbench.compression._parts import Parts, encoder_parts, keep_heads, keep_units, unknown_form
from stabbench.compression._rebuild import Rebuild
from stabbench.compression._recovery import Teaching, teach
from stabbench.compression.base import Level, Material
from stabbench.data.example import Example
from stabbench.errors import StabbenchError
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.subject import Subject

_BATCH = 16
_SAME = 1e-3


@dataclass(frozen=True)
class PruneStructured(Rebuild):
    """The least important heads and feed-forward units of every block taken out, then a short recovery training.

    Every block keeps the same number of heads and of units, so that the config says the shape; a head keeps its width.
    The artifact is a smaller ``model.safetensors``; its config has the new ``intermediate_size`` and, where heads were
    taken out, the entry ``stabbench: {heads: N}``. Without pruned heads any library loads it; with them this one does.
    """

    version: ClassVar[int] = 1
    needs: ClassVar[Level] = "encoder"
    trains: ClassVar[bool] = True
    calibrates: ClassVar[str] = "examples"
    paper: ClassVar[str] = (
        "Michel et al. 2019, arXiv:1905.10650 (heads); Molchanov et al. 2019, arXiv:1906.10771 (units)"
    )
    equation: ClassVar[str] = """
        I = (1/N) Σ_n |∂L(x_n) / ∂ξ| at ξ = 1, ξ a factor on a head's output or on a unit's activation, L the
        cross-entropy of training example n; of each block the round(share · count) largest are kept, at least one.
    """
    changes: ClassVar[str] = "Fewer heads and units in every block; hidden width and depth stay."
    cost: ClassVar[str] = "One backward pass for each of `examples`, then `recover_epochs` of training with a teacher."
    departures: ClassVar[str] = """
        The same number in every block, where Michel et al. rank over all blocks; importance is taken once, not step by
        step. Recovery is trained on right labels and on the dense model's soft labels.
    """
    pitfalls: ClassVar[str] = """
        Importance of one example set: words that it lacks count for nothing. With recover_epochs: 0 many answers flip.
        Plain transformers cannot load pruned heads (version 5 has no pruned_heads any more): load it here, or export a
        chain that ends in a graph.
    """

    heads: Annotated[float, Field(gt=0, le=1, description="share of the heads of each block that is kept")] = 0.5
    units: Annotated[float, Field(gt=0, le=1, description="share of the feed-forward units that is kept")] = 0.5
    examples: Annotated[int, Field(ge=1, description="training examples that importance is taken from")] = 128
    recover_epochs: Annotated[int, Field(ge=0, description="epochs of training afterwards; 0: none")] = 1
    recover_learning_rate: Annotated[float, Field(gt=0, description="peak rate of that training")] = 5e-5

    def change(self, model: nn.Module, subject: Subject, material: Material) -> None:
        """Take heads and units out, check the result, and train.

        Raises:
            ConfigurationError: the model's blocks are not of the known form.
            StabbenchError: there are no training examples.
        """
        examples = material.examples[: self.examples]
        if not examples:
            raise StabbenchError("prune-structured: there are no training examples to take importance from")
        parts = encoder_parts(model)
        scores = importance(model, parts, subject, examples)
        kept = [(largest(heads, self.heads), largest(units, self.units)) for heads, units in scores]
        batch = subject.encode([example.content for example in examples[:4]])
        expected = masked_logits(model, parts, kept, batch)
        for part, (heads, units) in zip(parts, kept, strict=True):
            keep_heads(part, heads)
            keep_units(part, units)
        _tell_shape(model, len(kept[0][0]), len(kept[0][1]))
        _check(model, batch, expected)
        how = Teaching(self.recover_epochs, self.recover_learning_rate)
        teach(model, subject, range(len(parts)), material, how)


def largest(scores: Tensor, share: float) -> list[int]:
    """Return the indices of the round(share · n) largest scores, at least one, ascending; ties to the first."""
    count = max(1, round(share * len(scores)))
    return sorted(torch.argsort(scores, descending=True, stable=True)[:count].tolist())


def importance(
    model: nn.Module, parts: Sequence[Parts], subject: Subject, examples: Sequence[Example]
) -> list[tuple[Tensor, Tensor]]:
    """Return for each block the importance of its heads and of its units; in evaluation mode, in float64 sums."""
    totals = [
        (torch.zeros(part.heads, dtype=torch.float64), torch.zeros(part.up.out_features, dtype=torch.float64))
        for part in parts
    ]
    encoded = encode_texts(subject.tokenizer, [example.content for example in examples], subject.max_length)
    order = sorted(range(len(examples)), key=lambda index: len(encoded[index]))
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        labels = [examples[index].label for index in chosen]
        batch = collate([encoded[index] for index in chosen], subject.tokenizer, labels)
        factors = [
            factor
            for part in parts
            for factor in (torch.ones(len(batch), part.heads), torch.ones(len(batch), part.up.out_features))
        ]
        for factor in factors:
            factor.requires_grad_()
        with _scaled(parts, factors):
            logits = model(**batch.inputs()).logits
        # Summed, so that row n of a factor's gradient is that of example n alone.
        assert batch.labels is not None
        loss = nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
        gradients = torch.autograd.grad(loss, factors)
        for index, (heads, units) in enumerate(totals):
            heads += gradients[2 * index].abs().double().sum(dim=0)
            units += gradients[2 * index + 1].abs().double().sum(dim=0)
    return [(heads / len(examples), units / len(examples)) for heads, units in totals]


def masked_logits(
    model: nn.Module, parts: Sequence[Parts], kept: Sequence[tuple[list[int], list[int]]], batch: Batch
) -> Tensor:
    """Return the logits with every head and unit that is not kept multiplied by 0."""
    factors = []
    for part, (heads, units) in zip(parts, kept, strict=True):
        for size, those in ((part.heads, heads), (part.up.out_features, units)):
            factor = torch.zeros(len(batch), size)
            factor[:, those] = 1.0
            factors.append(factor)
    with torch.no_grad(), _scaled(parts, factors):
        logits: Tensor = model(**batch.inputs()).logits
    return logits


def _scaled(parts: Sequence[Parts], factors: Sequence[Tensor]) -> ExitStack:
    """Multiply each block's head outputs and unit activations by (B, n) factors while the context lasts."""
    stack = ExitStack()
    for part, heads, units in zip(parts, factors[::2], factors[1::2], strict=True):
        wide = heads.repeat_interleave(part.head_width, dim=1)
        for module, factor in ((part.output, wide), (part.down, units)):
            stack.callback(module.register_forward_pre_hook(_times(factor)).remove)
    return stack


def _times(factor: Tensor) -> Any:
    def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0] * factor.unsqueeze(1), *inputs[1:])

    return hook


def _tell_shape(model: nn.Module, heads: int, units: int) -> None:
    """Write the new shape into the model's own config, so that it is saved and read with it."""
    config: Any = model.config
    # BERT's name of the feed-forward width, and DistilBERT's.
    for name in ("intermediate_size", "hidden_dim"):
        if isinstance(getattr(config, name, None), int):
            setattr(config, name, units)
    full = int(config.num_attention_heads)
    shape = shape_of(model)
    setattr(config, SHAPE, {**shape, "heads": heads} if heads < full else shape)


def _check(model: nn.Module, batch: Batch, expected: Tensor) -> None:
    """A model without heads and units must answer as the one in which they are multiplied by 0."""
    with torch.no_grad():
        found = model(**batch.inputs()).logits
    if not torch.allclose(found, expected, rtol=0.0, atol=_SAME):
        raise unknown_form(model, "with heads and units taken out it answers otherwise than with them silenced")
