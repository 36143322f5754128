"""What compression changed, answer by answer: accuracy alone hides it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from stabbench.compression.base import DIVERGED
from stabbench.models.subject import Subject
from stabbench.probes._predictions import NO_ANSWER, answers
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Direction, Measurement

_BATCH = 32


@dataclass(frozen=True)
class Compression(Probe):
    """Size, flips, label and probability loyalty of a compressed subject to its dense parent, and batch flips.

    Stores ``compression.npz``: example (N,) str, dense (N,) int64 (the parent's answers), predicted (N,) int64,
    batch_one (N,) int64 (answers at batch 1; −2 where not measured), probabilities_dense and probabilities (N, C)
    float32. A row of probabilities that is not finite has the answer −1.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "compressed"
    paper: ClassVar[str] = """
        Xu et al., EMNLP 2021, arXiv:2109.03228 (loyalty); Dutta et al. 2024, arXiv:2407.09141 (flips);
        Yan et al. 2020, arXiv:2011.09161 (negative flips)
    """
    equation: ClassVar[str] = """
        flip_rate = (1/N) Σᵢ [ŷᵢ ≠ ŷᵢ(dense)]; label_loyalty = 1 − flip_rate; probability_loyalty =
        1 − (1/N) Σᵢ √JSD(pᵢ(dense) ‖ pᵢ), logarithms to base 2, so in [0, 1]; negative_flips = share right before and
        wrong after, positive_flips = share wrong before and right after; batch_flip_rate = share of texts whose answer
        at batch 1 differs from that at batch 32 with dynamic padding.
    """
    changes: ClassVar[str] = "Nothing: it reads the test split."
    cost: ClassVar[str] = "Two forward passes over the test split, one over `examples` texts at batch 1."
    departures: ClassVar[str] = "Xu et al.'s code takes natural logarithms; base 2 scales the distance to [0, 1]."
    pitfalls: ClassVar[str] = """
        Between wrong classes a flip is neither negative nor positive. A constant model never flips: read it beside
        majority_share. Where batch_flip_rate > 0, accuracy depends on the batch size it was measured at.
    """

    examples: Annotated[int, Field(ge=1, description="test texts of the pass at batch 1, the first ones")] = 200

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the measurements; `context.dense` is the parent."""
        assert context.dense is not None, "the compression probe needs the dense parent"
        examples = context.dataset.test
        before, after = context.dense.predict(examples), subject.predict(examples)
        few = [example.content for example in examples[: self.examples]]
        alone = answers(subject.probabilities(few, batch_size=1))
        together = answers(subject.probabilities(few, batch_size=_BATCH))
        labels = np.array([example.label for example in examples], dtype=np.int64)
        dense, predicted = answers(before), answers(after)
        np.savez_compressed(
            context.folder / "compression.npz",
            example=np.array([example.id for example in examples]),
            dense=dense,
            predicted=predicted,
            batch_one=np.concatenate([alone, np.full(len(examples) - len(few), NO_ANSWER - 1)]),
            probabilities_dense=before.astype(np.float32),
            probabilities=after.astype(np.float32),
        )
        shares: list[tuple[str, float, Direction]] = [
            ("flip_rate", float(np.mean(dense != predicted)), "lower"),
            ("label_loyalty", float(np.mean(dense == predicted)), "higher"),
            ("probability_loyalty", probability_loyalty(before, after), "higher"),
            ("negative_flips", float(np.mean((dense == labels) & (predicted != labels))), "lower"),
            ("positive_flips", float(np.mean((dense != labels) & (predicted == labels))), "neither"),
        ]
        n = len(examples)
        rows = [Measurement(f"compression.{name}", value, "share", better, {}, n, n) for name, value, better in shares]
        batch_flips = float(np.mean(alone != together))
        planned = min(self.examples, n)
        rows.append(Measurement("compression.batch_flip_rate", batch_flips, "share", "lower", {}, len(few), planned))
        return [*rows, *_sizes(subject, context.dense)]


def probability_loyalty(dense: np.ndarray, compressed: np.ndarray) -> float:
    """Return 1 − mean over rows of √JSD in base 2, in [0, 1]; NaN where a probability is.

    JSD(p ‖ q) = ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q) / 2; both arguments are (N, C).
    """
    from scipy.special import rel_entr

    if not (np.isfinite(dense).all() and np.isfinite(compressed).all()):
        return float("nan")
    middle = (dense + compressed) / 2
    nats = (rel_entr(dense, middle) + rel_entr(compressed, middle)).sum(axis=1) / 2
    # Rounding gives −1e-17 for equal rows, whose root would be NaN.
    return float(1.0 - np.sqrt(np.clip(nats / np.log(2.0), 0.0, 1.0)).mean())


def _sizes(subject: Subject, dense: Subject) -> list[Measurement]:
    """Bytes of the whole artifact, tokenizer and config included, and its share of the dense model's folder."""
    assert subject.folder is not None
    assert dense.folder is not None
    size = None if (subject.folder / DIVERGED).is_file() else _bytes(subject.folder)
    ratio = None if size is None else size / _bytes(dense.folder)
    return [
        Measurement("compression.size", None if size is None else float(size), "bytes", "lower"),
        Measurement("compression.size_ratio", ratio, "share", "lower"),
    ]


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
