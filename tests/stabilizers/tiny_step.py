"""One training step of the tiny model, done by hand: what stabilizers are given, and the loss they are held against."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stabbench.models.anatomy import Anatomy, anatomy
from stabbench.models.batch import Batch
from stabbench.models.encoding import TextEncoder, collate, encode_texts
from stabbench.models.loading import load_pretrained
from stabbench.seeding import TrialSeeds
from stabbench.stabilizers.base import Loss, Objective, Place, Stabilizer
from stabbench.training.dropout import MatchedDropout
from stabbench.training.loop import cross_entropy

TEXTS = ("good", "the film was dull and long", "a great story")
LABELS = (1, 0, 1)


@dataclass
class TinyStep:
    """A model in training mode, its parts, and one batch of three texts of different lengths."""

    model: nn.Module
    parts: Anatomy
    encode: TextEncoder
    batch: Batch
    running: bool = False

    def prepared(self, stabilizer: Any, steps: int = 10) -> Any:
        """Return the stabilizer after `prepare_model`."""
        stabilizer.prepare_model(self.model, self.parts, TrialSeeds(0, 0), steps)
        return stabilizer

    def loss_of(self, batch: Batch, moved: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy with word embeddings moved, by the model's own entrance for embeddings."""
        return nn.functional.cross_entropy(self.logits_of(batch, moved), batch.labels)

    def logits_of(self, batch: Batch, moved: Tensor | None = None) -> Tensor:
        """Return the logits with word embeddings moved, by the model's own entrance for embeddings."""
        embeddings = self.parts.word_embeddings(batch.input_ids)
        inputs = {k: v for k, v in batch.inputs().items() if k != "input_ids"}
        logits: Tensor = self.model(inputs_embeds=embeddings if moved is None else embeddings + moved, **inputs).logits
        return logits

    def forward(self, stabilizer: Stabilizer, place: Place = Place(0, 0, 0, 0), dropout: Any = None) -> Any:  # noqa: B008
        """Return the loop's forward at `place`, which tells the stabilizer; with matched dropout where given."""

        def run(batch: Batch, draw: int = 0) -> Tensor:
            here = place._replace(draw=draw)
            stabilizer.on_forward(batch, here)
            self.running = True
            with dropout.drawing(*here) if dropout is not None else nullcontext():
                logits: Tensor = self.model(**batch.inputs()).logits
            self.running = False
            return logits

        return run

    def objective(self, stabilizer: Stabilizer, place: Place = Place(0, 0, 0, 0), **options: Any) -> Objective:  # noqa: B008
        """Return what the stabilizer's loss gives for the batch."""
        return stabilizer.wrap_loss(cross_entropy)(self.forward(stabilizer, place, **options), self.batch)

    def gradients(
        self, stabilizer: Stabilizer, batches: Sequence[Batch], step: int = 0, loss: Loss = cross_entropy
    ) -> tuple[list[Tensor], Objective]:
        """Return the gradients of one step over micro-batches, and the objective that is reported."""

        def backward(draw: int = 0, scale: float = 1.0) -> Objective:
            found = []
            for index, batch in enumerate(batches):
                objective = loss(self.forward(stabilizer, Place(step, index, draw, 0)), batch)
                (objective.total * scale / len(batches)).backward()
                found.append(objective.total.detach())
            mean = torch.stack(found).mean()
            return Objective(mean, mean, mean)

        self.model.zero_grad(set_to_none=True)
        reported = stabilizer.wrap_backward(backward)()
        return [p.grad.clone() for p in self.model.parameters() if p.grad is not None], reported

    def dropout(self) -> MatchedDropout:
        """Return matched dropout of the model."""
        return MatchedDropout(self.model, TrialSeeds(0, 0))

    def moves(self) -> list[Tensor]:
        """Return a list to which every later `forward` adds what was added to the output of the word embeddings.

        Call it after the stabilizer has put its own hook on the table: hooks run in the order of registration.
        """
        found: list[Tensor] = []

        def note(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if self.running:
                plain = nn.functional.embedding(inputs[0], module.weight)  # type: ignore[arg-type]
                found.append((output - plain).detach().clone())

        self.parts.word_embeddings.register_forward_hook(note)
        return found


def number(scalar: Tensor) -> float:
    """Return a scalar that may have a gradient."""
    return float(scalar.detach())


def tiny_step(folder: Path, texts: Sequence[str] = TEXTS, labels: Sequence[int] = LABELS) -> TinyStep:
    """Return a step of the model in `folder`."""
    model, tokenizer = load_pretrained(folder, ("no", "yes"), TrialSeeds(0, 0))
    return TinyStep(model, anatomy(model), TextEncoder(tokenizer, 32), batch_of(tokenizer, texts, labels))


def batch_of(tokenizer: Any, texts: Sequence[str], labels: Sequence[int]) -> Batch:
    """Return a labelled batch."""
    names = [f"t:{index}" for index in range(len(texts))]
    return collate(encode_texts(tokenizer, list(texts), 32), tokenizer, list(labels), names)


def halves(batch: Batch) -> list[Batch]:
    """Return the batch's first row, and the others, padded as they are."""

    def rows(which: slice) -> Batch:
        assert batch.labels is not None
        types = None if batch.token_type_ids is None else batch.token_type_ids[which]
        return Batch(
            batch.input_ids[which], batch.attention_mask[which], types, batch.labels[which], batch.examples[which]
        )

    return [rows(slice(0, 1)), rows(slice(1, None))]
