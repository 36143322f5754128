"""What noise in the text does to the answers: accuracy and flips by kind and severity, and the worst case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from stabbench import registry
from stabbench.data.example import Example, Text
from stabbench.errors import ConfigurationError, unknown_name
from stabbench.models.encoding import encode_texts
from stabbench.models.subject import Subject
from stabbench.perturbations.base import SEVERITIES, Perturbation
from stabbench.probes._predictions import answers
from stabbench.probes._sample import sample, steady_batch_size
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Measurement

Severity = Annotated[int, Field(ge=SEVERITIES[0], le=SEVERITIES[-1])]


@dataclass(frozen=True)
class Noise(Probe):
    """Accuracy and flip rate under perturbed text, by kind and severity, on the same texts for every subject.

    Stores ``noise.npz``: kinds (K,) str, severities (S,) int64, example (n,) str, label (n,) int64, clean (n,) int64
    answers to the clean texts, predicted (K, S, n) int64, no_op (K, S, n) bool, true where the token ids stayed the
    same. A row of probabilities that is not finite has the answer −1.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "both"
    uses: ClassVar[Mapping[str, str]] = {"kinds": "perturbations"}
    paper: ClassVar[str] = """
        Hendrycks and Dietterich 2019, arXiv:1903.12261 (kinds and severities); Moradi and Samwald 2021,
        arXiv:2108.12237 (text); Liang et al. 2022, arXiv:2211.09110 (worst case per example)
    """
    equation: ClassVar[str] = """
        accuracy_ks = (1/n) Σᵢ [f(x_iks) = yᵢ]; flip_rate_ks = (1/n) Σᵢ [f(x_iks) ≠ f(xᵢ)]; no_op_share_ks = share of
        texts whose token ids stayed the same; at {} the means over all kinds k and severities s;
        worst_case = (1/n) Σᵢ [f(xᵢ) = yᵢ] Π_ks [f(x_iks) = yᵢ].
    """
    changes: ClassVar[str] = "Nothing: it reads test texts and copies of them with noise."
    cost: ClassVar[str] = "One pass over n (1 + K S) texts, less those whose token ids are the same."
    departures: ClassVar[str] = "No-ops are kept in every mean, and their share is reported, instead of being left out."
    pitfalls: ClassVar[str] = """
        A constant model never flips and loses no accuracy: read it beside majority_share. The worst case falls with
        every kind and severity added: compare it only between equal sets of them.
    """

    kinds: Annotated[tuple[str, ...], Field(min_length=1, description="perturbations, by name")] = (
        "keyboard",
        "char_swap",
        "word_drop",
        "homoglyph",
    )
    severities: Annotated[tuple[Severity, ...], Field(min_length=1, description="severities from 1 to 5")] = (1, 3, 5)
    examples: Annotated[int, Field(ge=1, description="test texts, chosen by a hash of their ids")] = 150
    seed: Annotated[int, Field(description="seed of the choice of texts and of the noise")] = 0
    batch_size: Annotated[
        int, Field(ge=1, description="texts in one call; a compressed subject whose answers depend on it gets 1")
    ] = 32

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return accuracy, flips and no-ops at every kind and severity, their means and the worst case.

        Raises:
            ConfigurationError: a kind is unknown.
        """
        perturbations = [_perturbation(kind) for kind in self.kinds]
        examples = sample(context.dataset.test, self.examples, self.seed)
        clean = [example.content for example in examples]
        noisy = [
            perturbed(example, perturbation, severity, self.seed)
            for perturbation in perturbations
            for severity in self.severities
            for example in examples
        ]
        batch_size = steady_batch_size(subject, context.dense is not None, clean, self.batch_size)
        predicted, same = _answers(subject, clean, noisy, batch_size)
        shape = (len(self.kinds), len(self.severities), len(examples))
        found = _Answers(
            label=np.array([example.label for example in examples], dtype=np.int64),
            clean=predicted[: len(clean)],
            predicted=predicted[len(clean) :].reshape(shape),
            no_op=same.reshape(shape),
        )
        np.savez_compressed(
            context.folder / "noise.npz",
            kinds=np.array(self.kinds),
            severities=np.array(self.severities, dtype=np.int64),
            example=np.array([example.id for example in examples]),
            **vars(found),
        )
        return self._measurements(found)

    def _measurements(self, found: _Answers) -> list[Measurement]:
        right = found.predicted == found.label
        flipped = found.predicted != found.clean
        used, planned = len(found.label), self.examples
        rows = []
        for k, kind in enumerate(self.kinds):
            for s, severity in enumerate(self.severities):
                at: dict[str, Coordinate] = {"kind": kind, "severity": severity}
                accuracy, flips, no_ops = (float(array[k, s].mean()) for array in (right, flipped, found.no_op))
                rows += [
                    Measurement("noise.accuracy", accuracy, "share", "higher", at, used, planned),
                    Measurement("noise.flip_rate", flips, "share", "lower", at, used, planned),
                    Measurement("noise.no_op_share", no_ops, "share", "neither", at, used, planned),
                ]
        worst = (found.clean == found.label) & right.all(axis=(0, 1))
        return [
            *rows,
            Measurement("noise.accuracy", float(right.mean()), "share", "higher", {}, used, planned),
            Measurement("noise.flip_rate", float(flipped.mean()), "share", "lower", {}, used, planned),
            Measurement("noise.worst_case", float(worst.mean()), "share", "higher", {}, used, planned),
        ]


@dataclass(frozen=True)
class _Answers:
    """Labels and answers: n, n, (K, S, n) and (K, S, n)."""

    label: np.ndarray
    clean: np.ndarray
    predicted: np.ndarray
    no_op: np.ndarray


def perturbed(example: Example, perturbation: Perturbation, severity: int, seed: int) -> Text:
    """Return an example's sentence, or both sentences of its pair, with noise."""
    text = perturbation.perturb(example.text, severity, example.id, seed)
    if example.pair is None:
        return text
    return text, perturbation.perturb(example.pair, severity, f"{example.id}#pair", seed)


def _perturbation(kind: str) -> Perturbation:
    known = registry.names("perturbations")
    if kind not in known:
        raise ConfigurationError([f"probes.noise.kinds: {unknown_name('perturbation', kind, known)}"])
    made: Perturbation = registry.load("perturbations", kind)()
    return made


def _answers(
    subject: Subject, clean: Sequence[Text], noisy: Sequence[Text], batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers to clean and noisy texts, and which noisy texts have their clean one's token ids.

    Texts with equal token ids are asked once, and all in one pass, so that a batch holds texts of one length.
    """
    texts = [*clean, *noisy]
    ids = [tuple(item.input_ids) for item in encode_texts(subject.tokenizer, texts, subject.max_length)]
    once = dict(zip(ids, texts, strict=True))
    place = {key: row for row, key in enumerate(once)}
    predicted = answers(subject.probabilities(list(once.values()), batch_size=batch_size))
    same = np.array([ids[len(clean) + j] == ids[j % len(clean)] for j in range(len(noisy))], dtype=bool)
    return predicted[[place[key] for key in ids]], same
