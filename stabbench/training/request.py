"""What fine-tuning is asked for, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stabbench.data.example import Dataset
from stabbench.models.subject import Subject
from stabbench.planning.compute import Compute
from stabbench.records import Measurement
from stabbench.seeding import TrialSeeds
from stabbench.suite.schema import TrainOptions


@dataclass(frozen=True)
class TrainRequest:
    """One trial.

    Attributes:
        model_source: folder of the pretrained model, or a hub id.
        dataset: trains on `train`; `test` is only measured, never used for selection or stopping.
        train: the variant's training options; `precision` is resolved (fp32 or bf16).
        seeds: the trial's seeds.
        folder: where ``model/`` and ``trace.npz`` are written.
        revision: commit of a hub model.
        stabilizers: (name, options) in suite order; wrappers nest so, the last is outermost.
        monitors: name → options.
        metric: the metric of the failed-run rule.
        compute: what the reference may spend, where `train.match_compute` asks for as much; it sets the steps.
    """

    model_source: str | Path
    dataset: Dataset
    train: TrainOptions
    seeds: TrialSeeds
    folder: Path
    revision: str | None = None
    stabilizers: Sequence[tuple[str, Mapping[str, Any]]] = ()
    monitors: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"trace": {}})
    metric: Literal["accuracy", "mcc"] = "accuracy"
    compute: Compute | None = None


@dataclass(frozen=True)
class TrainResult:
    """What one trial gives, besides its files.

    Attributes:
        subject: the trained model; it remembers its test predictions.
        measurements: see ``fine_tune``.
        details: ``hashes`` (init, order per epoch, dropout), ``weights`` (sha256 of the file), ``failed``,
            ``failed_reason``, ``precision``, ``threads``, ``steps``, ``classes``; where the validation split was looked
            at, also ``checkpoint`` (last or best), ``checkpoint_step``, ``stopped_early``, ``validation``.
    """

    subject: Subject
    measurements: list[Measurement]
    details: dict[str, Any]
