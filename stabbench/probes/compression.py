"""What compression changed, answer by answer: accuracy alone hides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from stabbench.compression.base import DIVERGED
from stabbench.data.example import Text
from stabbench.models.batch import Batch
from stabbench.models.encoding import collate, encode_texts
from stabbench.models.subject import Subject
from stabbench.probes._predictions import NO_ANSWER, answers
from stabbench.probes.accuracy import expected_calibration_error
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Direction, Measurement
from stabbench.statistics.proportions import wilson

_BATCH = 32
_BINS = 15


@dataclass(frozen=True)
class Compression(Probe):
    """Size, flips, loyalty and calibration of a compressed subject against its dense parent, and three invariances.

    Stores ``compression.npz``: example (N,) str, dense (N,) int64 (the parent's answers), predicted (N,) int64,
    batch_one and padded (N,) int64 (answers at batch 1, without and with padding; −2 where not measured),
    probabilities_dense and probabilities (N, C) float32. A row of probabilities that is not finite has the answer −1.
    """

    version: ClassVar[int] = 2
    applies: ClassVar[Applies] = "compressed"
    paper: ClassVar[str] = """
        Xu et al., EMNLP 2021, arXiv:2109.03228 (loyalty); Dutta et al. 2024, arXiv:2407.09141 (flips);
        Yan et al. 2020, arXiv:2011.09161 (negative flips); Wilson 1927 (interval)
    """
    equation: ClassVar[str] = """
        flip_rate = (1/N) Σᵢ [ŷᵢ ≠ ŷᵢ(dense)], flip_rate_low and flip_rate_high its 95 % score interval; label_loyalty =
        1 − flip_rate; probability_loyalty = 1 − (1/N) Σᵢ √JSD(pᵢ(dense) ‖ pᵢ), logarithms to base 2, so in [0, 1];
        negative_flips = share right before and wrong after, positive_flips = share wrong before and right after;
        ece_change = ECE − ECE(dense); batch_flip_rate = share of texts whose answer at batch 1 differs from that at
        batch 32 with dynamic padding; padding_flip_rate = the same between a text alone and alone but padded to the
        longest of the texts; nondeterminism = share of texts whose probabilities differ in any bit when asked again;
        uncovered_texts = share of test texts that the subject's tokenizer cuts otherwise than the parent's.
    """
    changes: ClassVar[str] = "Nothing: it reads the test split."
    cost: ClassVar[str] = "Two forward passes over the test split, two over `examples` texts at batch 1, two batched."
    departures: ClassVar[str] = "Xu et al.'s code takes natural logarithms; base 2 scales the distance to [0, 1]."
    pitfalls: ClassVar[str] = """
        Between wrong classes a flip is neither negative nor positive. A constant model never flips: read it beside
        majority_share. Where batch_flip_rate > 0, accuracy depends on the batch size it was measured at. The score
        interval speaks of texts, for this one model; seeds are another matter.
    """

    examples: Annotated[int, Field(ge=1, description="test texts of the passes at batch 1, the first ones")] = 200

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the measurements; `context.dense` is the parent."""
        assert context.dense is not None, "the compression probe needs the dense parent"
        examples = context.dataset.test
        before, after = context.dense.predict(examples), subject.predict(examples)
        contents = [example.content for example in examples]
        few = contents[: self.examples]
        rest = np.full(len(examples) - len(few), NO_ANSWER - 1)
        alone, padded = answers(subject.probabilities(few, batch_size=1)), answers(_padded(subject, few))
        together = subject.probabilities(few, batch_size=_BATCH)
        again = subject.probabilities(few, batch_size=_BATCH)
        labels = np.array([example.label for example in examples], dtype=np.int64)
        dense, predicted = answers(before), answers(after)
        np.savez_compressed(
            context.folder / "compression.npz",
            example=np.array([example.id for example in examples]),
            dense=dense,
            predicted=predicted,
            batch_one=np.concatenate([alone, rest]),
            padded=np.concatenate([padded, rest]),
            probabilities_dense=before.astype(np.float32),
            probabilities=after.astype(np.float32),
        )
        n = len(examples)
        interval = wilson(int(np.sum(dense != predicted)), n)
        change = expected_calibration_error(after, labels, _BINS) - expected_calibration_error(before, labels, _BINS)
        new = np.array(_cut_otherwise(context.dense, subject, contents))
        shares: list[tuple[str, float | None, Direction]] = [
            ("flip_rate", float(np.mean(dense != predicted)), "lower"),
            ("flip_rate_low", interval.low, "lower"),
            ("flip_rate_high", interval.high, "lower"),
            ("label_loyalty", float(np.mean(dense == predicted)), "higher"),
            ("probability_loyalty", probability_loyalty(before, after), "higher"),
            ("negative_flips", float(np.mean((dense == labels) & (predicted != labels))), "lower"),
            ("positive_flips", float(np.mean((dense != labels) & (predicted == labels))), "neither"),
            ("ece_change", change, "lower"),
            ("uncovered_texts", float(np.mean(new)), "lower"),
        ]
        rows = [Measurement(f"compression.{name}", value, "share", better, {}, n, n) for name, value, better in shares]
        # NaN is equal to itself here: a diverged model gives it every time.
        differs = [not np.array_equal(x, y, equal_nan=True) for x, y in zip(together, again, strict=True)]
        invariances = {
            "batch_flip_rate": np.mean(alone != answers(together)),
            "padding_flip_rate": np.mean(alone != padded),
            "nondeterminism": np.mean(differs),
        }
        planned = min(self.examples, n)
        rows += [
            Measurement(f"compression.{name}", float(value), "share", "lower", {}, len(few), planned)
            for name, value in invariances.items()
        ]
        return [*rows, *_sizes(subject, context.dense)]


def _padded(subject: Subject, texts: Sequence[Text]) -> np.ndarray:
    """Return probabilities (N, C) of each text alone in its batch, but padded to the longest of all of them."""
    encoded = encode_texts(subject.tokenizer, texts, subject.max_length)
    longest = max(encoded, key=len)
    rows = []
    for item in encoded:
        whole = collate([item, longest], subject.tokenizer)
        parts = {name: tensor[:1] for name, tensor in whole.inputs().items()}
        batch = Batch(parts["input_ids"], parts["attention_mask"], parts.get("token_type_ids"))
        rows.append(torch.softmax(subject.logits(batch).double(), dim=-1)[0].cpu().numpy())
    return np.stack(rows)


def _cut_otherwise(dense: Subject, subject: Subject, texts: Sequence[Text]) -> list[bool]:
    if subject.tokenizer is dense.tokenizer:
        return [False] * len(texts)
    cut = [encode_texts(s.tokenizer, texts, s.max_length) for s in (dense, subject)]
    return [
        dense.tokenizer.convert_ids_to_tokens(old.input_ids) != subject.tokenizer.convert_ids_to_tokens(new.input_ids)
        for old, new in zip(*cut, strict=True)
    ]


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
