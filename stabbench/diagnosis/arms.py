"""What a diagnosis reads of a run: per arm its options, per trial its trace, its numbers and its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stabbench.records import DENSE
from stabbench.store.run_folder import RunFolder

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        variant, seed: which.
        failed: whether it is a failed run, with the `reason`.
        precision: fp32 or bf16, as trained.
        trace: arrays of ``trace.npz``; which there are depends on the monitors.
        numbers: metric → value, of what training measured without coordinates.
        labels, predicted: (N,) of the test split, or None where accuracy was not probed.
        classes: number of classes.
    """

    variant: str
    seed: str
    failed: bool
    reason: str | None
    precision: str
    trace: Arrays
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    labels: np.ndarray | None = None
    predicted: np.ndarray | None = None
    classes: int = 2


@dataclass(frozen=True)
class Arm:
    """A variant with its trainings.

    Attributes:
        variant: its name.
        reference: whether it is the suite's reference.
        train: training options, every default filled in.
        stabilizers: name → options, in suite order.
        trials: those that were finished, in the order of the seeds.
    """

    variant: str
    reference: bool
    train: Mapping[str, Any]
    stabilizers: Mapping[str, Mapping[str, Any]]
    trials: tuple[Trial, ...]

    @property
    def failed(self) -> tuple[Trial, ...]:
        """The failed runs."""
        return tuple(trial for trial in self.trials if trial.failed)


def read_arms(run: RunFolder) -> tuple[Arm, ...]:
    """Return the arms of a run, the reference first; needs no model."""
    reference = run.suite["compare"]["reference"]
    names = sorted(run.suite["variants"], key=lambda name: name != reference)
    return tuple(_arm(run, name, name == reference) for name in names)


def _arm(run: RunFolder, variant: str, reference: bool) -> Arm:
    content = run.suite["variants"][variant]
    stabilizers = {name: options for entry in content["stabilizers"] for name, options in entry.items()}
    seeds = [cell["seed"] for cell in run.plan["cells"] if cell["kind"] == "train" and cell["variant"] == variant]
    found = (_trial(run, variant, seed) for seed in seeds)
    return Arm(variant, reference, content["train"], stabilizers, tuple(trial for trial in found if trial is not None))


def _trial(run: RunFolder, variant: str, seed: str) -> Trial | None:
    stored = run.cell(f"train/{variant}/{seed}")
    if stored is None:
        return None
    file = stored.folder / "trace.npz"
    trace: dict[str, np.ndarray] = {}
    if file.exists():
        with np.load(file) as arrays:
            trace = dict(arrays)
    labels, predicted = _answers(run, variant, seed)
    details = stored.details
    return Trial(
        variant=variant,
        seed=seed,
        failed=bool(details["failed"]),
        reason=details.get("failed_reason"),
        precision=str(details.get("precision", "")),
        trace=trace,
        numbers={m.metric: m.value for m in stored.measurements if not m.at},
        labels=labels,
        predicted=predicted,
        classes=len(details.get("classes", ())) or 2,
    )


def _answers(run: RunFolder, variant: str, seed: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    stored = run.cell(f"accuracy/{variant}/{seed}/{DENSE}")
    if stored is None or not (stored.folder / "predictions.npz").exists():
        return None, None
    with np.load(stored.folder / "predictions.npz") as arrays:
        return arrays["label"], arrays["predicted"]
