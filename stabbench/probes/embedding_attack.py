"""What the worst small move of the word embeddings does to the answers: one step (FGM), and K steps (PGD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from stabbench.attacks.engine.embedding_space import EmbeddingAttack as Search
from stabbench.attacks.engine.embedding_space import FastGradient, ProjectedGradient
from stabbench.data.example import Example
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.subject import Subject
from stabbench.probes._predictions import answers
from stabbench.probes._sample import sample
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Measurement

BATCH = 32


@dataclass(frozen=True)
class EmbeddingAttack(Probe):
    """Accuracy under the worst move δ of a text's word embeddings E that the search finds, ‖δ‖₂ ≤ ε·‖E‖₂.

    At {steps, radius}: ``embedding_attack.accuracy`` share of texts right on the clean text and under attack;
    ``embedding_attack.success_rate`` of the texts right on the clean text, the share led astray (None where there is
    none). ``steps`` 1 is FGM, more is PGD. Stores ``embedding_attack.npz``: example (n,) str, label (n,), clean (n,),
    predicted (S, R, n) int64.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "dense"
    paper: ClassVar[str] = "Miyato et al. 2017, arXiv:1605.07725 (FGM); Madry et al. 2018, arXiv:1706.06083 (PGD)"
    equation: ClassVar[str] = """
        δ ← Π_r(δ + a·g/‖g‖₂), g = ∇_δ CE(f(E + δ), y), r = ε·‖E‖₂, a = r for one step and 2.5·r/K for K; accuracy =
        (|C| − |S|)/n and success_rate = |S|/|C| with C the texts right when clean and S ⊂ C those led astray.
    """
    changes: ClassVar[str] = "Nothing: gradients are taken beside the model's own."
    cost: ClassVar[str] = "Radii × Σ(steps + 1) forward and Σ steps backward passes over n texts."
    departures: ClassVar[str] = "One budget for the whole text, relative to the norm of its embeddings."
    pitfalls: ClassVar[str] = """
        No text that anybody writes has these embeddings: it measures how steep the model is, not what an attacker can
        do. A model with vanishing gradients looks robust; compare with more steps.
    """

    steps: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, description="steps of the search; 1 is FGM")
    ] = (1, 5)
    radii: Annotated[
        tuple[Annotated[float, Field(gt=0)], ...],
        Field(min_length=1, description="ε: largest ‖δ‖₂ as a share of ‖E‖₂ of the text"),
    ] = (0.01, 0.05, 0.1, 0.2, 0.5)
    examples: Annotated[int, Field(ge=1, description="test texts, chosen by a hash of their ids")] = 64
    seed: Annotated[int, Field(description="seed of the choice of texts")] = 0

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return accuracy and success rate at every number of steps and radius.

        Raises:
            ConfigurationError: the subject has no torch model.
        """
        if subject.model is None:
            raise ConfigurationError(["probes: 'embedding_attack' needs a torch model; this subject has none"])
        examples = sample(context.dataset.test, self.examples, self.seed)
        label = np.array([example.label for example in examples], dtype=np.int64)
        clean = answers(subject.probabilities([example.content for example in examples]))
        predicted = np.stack(
            [
                np.stack([_under_attack(subject, examples, search, radius) for radius in self.radii])
                for search in (FastGradient() if k == 1 else ProjectedGradient(k) for k in self.steps)
            ]
        )
        np.savez_compressed(
            context.folder / "embedding_attack.npz",
            example=np.array([example.id for example in examples]),
            label=label,
            clean=clean,
            predicted=predicted,
        )
        right = clean == label
        n, planned = len(examples), self.examples
        rows = []
        for s, steps in enumerate(self.steps):
            for r, radius in enumerate(self.radii):
                at: dict[str, Coordinate] = {"steps": steps, "radius": radius}
                astray = right & (predicted[s, r] != label)
                held, count = float((right & ~astray).mean()), int(right.sum())
                rate = float(astray.sum() / count) if count else None
                rows += [
                    Measurement("embedding_attack.accuracy", held, "share", "higher", at, n, planned),
                    Measurement("embedding_attack.success_rate", rate, "share", "lower", at, count, planned),
                ]
        return rows


def _under_attack(subject: Subject, examples: Sequence[Example], search: Search, radius: float) -> np.ndarray:
    """Return (n,) the answers under attack, in the order of the examples."""
    model = subject.model
    assert model is not None
    words = anatomy(model).word_embeddings
    encoded = encode_texts(subject.tokenizer, [example.content for example in examples], subject.max_length)
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]))
    predicted = np.empty(len(encoded), dtype=np.int64)
    for part in (order[start : start + BATCH] for start in range(0, len(order), BATCH)):
        labels = [examples[index].label for index in part]
        batch = collate([encoded[index] for index in part], subject.tokenizer, labels)
        logits = search.attack(model, words, batch, radius)
        predicted[part] = answers(torch.softmax(logits.double(), dim=-1).numpy())
    return predicted
