"""What noise inside the model does to its answers: on word embeddings, on a hidden state, on the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from stabbench.data.example import Example
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import Anatomy, anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.hooks import changed_output, recorded_outputs
from stabbench.models.subject import Subject
from stabbench.probes._predictions import answers
from stabbench.probes._sample import sample
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Measurement
from stabbench.seeding import derive

Kind = Literal["embedding", "hidden", "weight"]
Radius = Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class InternalNoise(Probe):
    """Accuracy, flips and moved probability under Gaussian noise on embeddings and weights; error of hidden states.

    - ``embedding``, at {kind, level r}: each real token's word embedding e of H entries gets noise of standard
      deviation r·‖e‖₂/√H, so that its expected norm is r·‖e‖₂;
    - ``weight``, at {kind, level r}: each matrix W gets noise of standard deviation r·std(W); biases and layer norms
      stay; ``internal_noise.worst_accuracy`` is the smallest over the draws;
    - ``hidden``: noise n on the output h of block b, with ‖n‖₂ = `hidden_level`·‖h‖₂ for every example;
      ``internal_noise.layer_error`` at {kind, injected b, block l} is the mean of ‖h′_l − h_l‖₂/‖h_l‖₂ over the blocks
      above, and at block ``logits`` that of the logits.

    Stores ``internal_noise.npz``: example (n,) str, label (n,), clean (n,), predicted_embedding and predicted_weight
    (levels, draws, n) int64.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "dense"
    paper: ClassVar[str] = """
        Hua et al. 2021, arXiv:2107.04835 (noise of 5 % on a hidden state, error at higher layers); weight noise as a
        measure of flatness: Keskar et al. 2017, arXiv:1609.04836, in its random form
    """
    equation: ClassVar[str] = """
        flip_rate_r = mean over draws and texts of [f(x; noise r) ≠ f(x)]; probability_change_r = mean of ½‖p′ − p‖₁;
        layer_error_l = mean of ‖h′_l − h_l‖₂ / ‖h_l‖₂.
    """
    changes: ClassVar[str] = "Nothing: noise is added on the way and taken away again."
    cost: ClassVar[str] = "n·(1 + draws·(embedding levels + weight levels) + draws) forward passes."
    departures: ClassVar[str] = "Noise of one draw has the same direction at every level, so that curves are smooth."
    pitfalls: ClassVar[str] = """
        A constant model never flips: read it beside majority_share. Noise on embeddings is no text that anybody writes.
    """

    kinds: Annotated[tuple[Kind, ...], Field(min_length=1, description="where noise is added")] = (
        "embedding",
        "hidden",
        "weight",
    )
    embedding_levels: Annotated[tuple[Radius, ...], Field(min_length=1, description="r of embeddings")] = (
        0.05,
        0.1,
        0.2,
        0.5,
        1.0,
    )
    weight_levels: Annotated[tuple[Radius, ...], Field(min_length=1, description="r of weights")] = (
        0.005,
        0.01,
        0.02,
        0.05,
        0.1,
    )
    hidden_level: Annotated[float, Field(gt=0, description="share of the norm of the hidden state")] = 0.05
    hidden_block: Annotated[int, Field(ge=0, description="block whose output gets the noise; 0 is the lowest")] = 0
    draws: Annotated[int, Field(ge=1, description="independent noises")] = 10
    examples: Annotated[int, Field(ge=1, description="test texts, chosen by a hash of their ids")] = 64
    seed: Annotated[int, Field(description="seed of the choice of texts and of the noise")] = 0

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the measurements of the chosen kinds.

        Raises:
            ConfigurationError: the subject has no torch model, or it has no such block.
        """
        if subject.model is None:
            raise ConfigurationError(["probes: 'internal_noise' needs a torch model; this subject has none"])
        parts = anatomy(subject.model)
        if "hidden" in self.kinds and self.hidden_block >= len(parts.blocks):
            there = f"the model has blocks 0 to {len(parts.blocks) - 1}"
            raise ConfigurationError([f"probes.internal_noise.hidden_block: {self.hidden_block}, but {there}"])
        examples = sample(context.dataset.test, self.examples, self.seed)
        work = _Work(subject.model, parts, _batches(subject, examples), self.seed)
        label = np.array([example.label for example in examples], dtype=np.int64)[work.order]
        stored = {"example": np.array([e.id for e in examples])[work.order], "label": label}
        clean = work.probabilities()
        rows: list[Measurement] = []
        for kind, levels in (("embedding", self.embedding_levels), ("weight", self.weight_levels)):
            if kind in self.kinds:
                noisy = np.stack([[work.under(kind, level, draw) for draw in range(self.draws)] for level in levels])
                predicted = answers(noisy.reshape(-1, noisy.shape[-1])).reshape(noisy.shape[:-1])
                stored[f"predicted_{kind}"] = predicted
                rows += self._shares(kind, levels, label, clean, noisy, predicted)
        if "hidden" in self.kinds:
            rows += self._errors(work)
        np.savez_compressed(context.folder / "internal_noise.npz", clean=answers(clean), **stored)
        return rows

    def _shares(
        self,
        kind: str,
        levels: Sequence[float],
        label: np.ndarray,
        clean: np.ndarray,
        noisy: np.ndarray,
        predicted: np.ndarray,
    ) -> list[Measurement]:
        right, flipped = predicted == label, predicted != answers(clean)
        moved = np.abs(noisy - clean).sum(axis=-1) / 2
        n, planned = len(label), self.examples
        rows = []
        for index, level in enumerate(levels):
            at: dict[str, Coordinate] = {"kind": kind, "level": level}
            values: list[tuple[str, float, Literal["higher", "lower"]]] = [
                ("accuracy", float(right[index].mean()), "higher"),
                ("flip_rate", float(flipped[index].mean()), "lower"),
                ("probability_change", float(moved[index].mean()), "lower"),
                ("worst_accuracy", float(right[index].mean(axis=1).min()), "higher"),
            ]
            rows += [
                Measurement(f"internal_noise.{name}", value, "share", better, at, n, planned)
                for name, value, better in values
            ]
        return rows

    def _errors(self, work: _Work) -> list[Measurement]:
        blocks: list[int | str] = [*range(self.hidden_block + 1, len(work.parts.blocks)), "logits"]
        errors = np.mean(
            [work.hidden_errors(self.hidden_block, self.hidden_level, draw) for draw in range(self.draws)], axis=(0, 1)
        )
        return [
            Measurement(
                "internal_noise.layer_error", float(error), "share", "lower",
                {"kind": "hidden", "injected": self.hidden_block, "block": block}, len(work.order), self.examples,
            )
            for block, error in zip(blocks, errors, strict=True)
        ]  # fmt: skip


def _batches(subject: Subject, examples: Sequence[Example], size: int = 32) -> list[Batch]:
    encoded = encode_texts(subject.tokenizer, [example.content for example in examples], subject.max_length)
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    return [
        collate([encoded[i] for i in part], subject.tokenizer, part, [examples[i].id for i in part])
        for part in (order[start : start + size] for start in range(0, len(order), size))
    ]


class _Work:
    """One model and its batches; `labels` of a batch hold the places of its examples in the sample.

    Attributes:
        order: (n,) places in the sample of the rows that the methods return.
    """

    def __init__(self, model: nn.Module, parts: Anatomy, batches: list[Batch], seed: int) -> None:
        self.model, self.parts, self.batches, self.seed = model, parts, batches, seed
        self.order = np.concatenate([batch.labels.numpy() for batch in batches if batch.labels is not None])

    def logits(self, batch: Batch) -> Tensor:
        with torch.inference_mode():
            found: Tensor = self.model(**batch.inputs()).logits
        return found.float()

    def probabilities(self) -> np.ndarray:
        """Return (n, C) float64 of the model as it is now."""
        found = [torch.softmax(self.logits(batch).double(), dim=-1).numpy() for batch in self.batches]
        return np.concatenate(found)

    def under(self, kind: str, level: float, draw: int) -> np.ndarray:
        """Return (n, C) probabilities under one draw of noise."""
        if kind == "weight":
            with self._noisy_weights(level, draw):
                return self.probabilities()
        found = []
        for batch in self.batches:
            noise = self._token_noise(batch, draw, self.parts.word_embeddings.embedding_dim)

            def add(e: Tensor, noise: Tensor = noise) -> Tensor:
                size = torch.linalg.vector_norm(e, dim=-1, keepdim=True) / e.shape[-1] ** 0.5
                noisy: Tensor = e + level * size * noise
                return noisy

            with changed_output(self.parts.word_embeddings, add):
                found.append(torch.softmax(self.logits(batch).double(), dim=-1).numpy())
        return np.concatenate(found)

    def hidden_errors(self, block: int, level: float, draw: int) -> np.ndarray:
        """Return (n, L) relative errors of the blocks above `block` and, last, of the logits."""
        above = self.parts.blocks[block + 1 :]
        found = []
        for batch in self.batches:
            with recorded_outputs(above) as clean:
                logits = self.logits(batch)
            mask = batch.attention_mask[..., None].float()

            def add(h: Tensor, batch: Batch = batch, mask: Tensor = mask) -> Tensor:
                noise = self._token_noise(batch, draw, h.shape[-1])
                share = _norm(h * mask) / _norm(noise)
                return h + level * share[:, None, None] * noise

            with changed_output(self.parts.blocks[block], add), recorded_outputs(above) as noisy:
                noisy_logits = self.logits(batch)
            errors = [_norm((b - a) * mask) / _norm(a * mask) for a, b in zip(clean, noisy, strict=True)]
            found.append(torch.stack([*errors, _norm(noisy_logits - logits) / _norm(logits)], dim=1).numpy())
        return np.concatenate(found)

    def _token_noise(self, batch: Batch, draw: int, width: int) -> Tensor:
        """Return (B, T, H) standard normal noise, 0 on padding; an example's does not depend on its batch."""
        rows = torch.zeros(*batch.input_ids.shape, width)
        for row, (example, length) in enumerate(zip(batch.examples, batch.attention_mask.sum(dim=1), strict=True)):
            generator = torch.Generator().manual_seed(derive("internal-noise", self.seed, example, draw))
            rows[row, : int(length)] = torch.randn(int(length), width, generator=generator)
        return rows

    @contextmanager
    def _noisy_weights(self, level: float, draw: int) -> Iterator[None]:
        matrices = {name: p for name, p in self.model.named_parameters() if p.dim() > 1}
        kept = {name: p.detach().clone() for name, p in matrices.items()}
        try:
            with torch.no_grad():
                for name, p in matrices.items():
                    generator = torch.Generator().manual_seed(derive("internal-noise", self.seed, name, draw))
                    p.add_(torch.randn(p.shape, generator=generator), alpha=level * float(p.std()))
            yield
        finally:
            with torch.no_grad():
                for name, p in matrices.items():
                    p.copy_(kept[name])


def _norm(values: Tensor) -> Tensor:
    """Return (B,) L2 norms over everything but the batch."""
    norms: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1)
    return norms
