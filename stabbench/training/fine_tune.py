"""One trial from a pretrained encoder to a subject with its traces, hashes and first numbers."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stabbench import registry
from stabbench.data.example import Example
from stabbench.errors import ConfigurationError
from stabbench.models.anatomy import anatomy
from stabbench.models.encoding import encode_texts
from stabbench.models.loading import in_own_memory, load_pretrained, save_subject, state_hash, weights_hash
from stabbench.models.subject import Subject, torch_logits
from stabbench.monitors.base import Monitor
from stabbench.records import Direction, Measurement
from stabbench.stabilizers.base import Stabilizer
from stabbench.suite.refusals import validation_needed
from stabbench.suite.schema import TrainOptions
from stabbench.training.evaluation import Validation
from stabbench.training.failure import failure_reason
from stabbench.training.gradient_probe import GradientProbe, fixed_sample
from stabbench.training.loop import Loop
from stabbench.training.request import TrainRequest, TrainResult
from stabbench.training.trained import Trained

TRAIN_SAMPLE = 100
"""Training examples whose accuracy is measured after training, at most."""
BEFORE_SAMPLE = 64
"""Test examples whose accuracy is measured before training, at most: an untrained head needs no more."""
VALIDATION: tuple[tuple[str, str, Direction], ...] = (("loss", "nats", "lower"), ("accuracy", "share", "higher"))


def fine_tune(request: TrainRequest) -> TrainResult:
    """Fine-tune one model, write ``model/`` and ``trace.npz`` into the request's folder, and return the subject.

    Measured are: train.failed (0 or 1), train.seconds and train.steps_per_second (the loop alone), train.step_seconds
    (per step, evaluations left out), train.forward_passes and train.backward_passes (per step, counted),
    train.peak_memory (bytes resident, of the process), train.accuracy_before (at most 64 fixed test examples, new head,
    before the first step), train.accuracy_train (at most 100 fixed training examples), train.gap (train − test
    accuracy), train.validation_loss and train.validation_accuracy after each epoch where an option looks at them,
    gradient.probe_norm at checkpoints, and what the monitors report. A run that fails, by the rule of `failure_reason`,
    is a result like any other. Thread count and random state are left as found.
    """
    with _threads(request.train.threads), torch.random.fork_rng(devices=[]):
        return _fine_tune(request)


def _fine_tune(request: TrainRequest) -> TrainResult:
    classes, test = request.dataset.classes, request.dataset.test
    model, tokenizer = load_pretrained(request.model_source, classes, request.seeds, request.revision)
    initial = state_hash(model)
    stabilizers: list[Stabilizer] = [registry.load("stabilizers", name)(**given) for name, given in request.stabilizers]
    monitors: list[Monitor] = [registry.load("monitors", name)(**given) for name, given in request.monitors.items()]
    train = request.train
    if request.compute is not None:
        train = train.model_copy(update={"max_steps": request.compute.steps(len(request.dataset.train))})
    for stabilizer in stabilizers:
        train = stabilizer.plan(train)

    def subject() -> Subject:
        return Subject(tokenizer, torch_logits(model.eval()), classes, train.max_length, model)

    first = fixed_sample(test, BEFORE_SAMPLE, "accuracy-before")
    before = Measurement(
        "train.accuracy_before", _accuracy(subject(), first), "share", "higher", {}, len(first), len(test)
    )
    examples = request.dataset.train
    loop = Loop(
        model=model.train(),
        anatomy=anatomy(model),
        tokenizer=tokenizer,
        examples=examples,
        encoded=encode_texts(tokenizer, [example.content for example in examples], train.max_length),
        train=train,
        stabilizers=stabilizers,
        monitors=monitors,
        seeds=request.seeds,
        probe=GradientProbe(examples, tokenizer, train.max_length),
        validation=_validation(request, train, tokenizer),
    )
    _forget_peak()
    start = time.perf_counter()
    trained = loop.run()
    seconds = time.perf_counter() - start
    model.to("cpu").zero_grad(set_to_none=True)
    in_own_memory(model)
    final = subject()
    reason = failure_reason([e.label for e in test], final.predict(test), request.metric, trained.finite_loss)
    save_subject(model, tokenizer, request.folder / "model", classes, train.max_length)
    final.folder = request.folder / "model"
    _write_trace(request, loop, trained)
    details = {
        "hashes": {"init": initial, "order": trained.order, "dropout": trained.dropout},
        "weights": weights_hash(request.folder / "model"),
        "failed": reason is not None,
        "failed_reason": reason,
        "precision": train.precision,
        "threads": train.threads,
        "steps": trained.steps,
        "classes": list(classes),
        **trained.evaluations.details(trained.steps),
    }
    measurements = [
        *_training_numbers(trained, seconds, reason),
        before,
        *_accuracy_numbers(final, fixed_sample(examples, TRAIN_SAMPLE, "train-accuracy"), len(examples), test),
        *_validation_numbers(trained, len(request.dataset.validation)),
        *_probe_numbers(trained),
        *(measurement for monitor in monitors for measurement in monitor.measurements()),
    ]
    return TrainResult(final, measurements, details)


def _validation(request: TrainRequest, train: TrainOptions, tokenizer: Any) -> Validation | None:
    if train.looks_at_validation is None:
        return None
    examples = request.dataset.validation
    if not examples:
        raise ConfigurationError([validation_needed(train.looks_at_validation)])
    return Validation(examples, tokenizer, train.max_length)


def _training_numbers(trained: Trained, seconds: float, reason: str | None) -> list[Measurement]:
    n = trained.steps
    return [
        Measurement("train.failed", float(reason is not None), "share", "lower", n_used=1, n_planned=1),
        Measurement("train.seconds", seconds, "seconds", "lower", n_used=n, n_planned=n),
        Measurement("train.steps_per_second", n / seconds, "steps/s", "higher", n_used=n),
        Measurement("train.step_seconds", trained.step_seconds / n, "seconds", "lower", n_used=n),
        Measurement("train.forward_passes", trained.forwards / n, "passes/step", "lower", n_used=n),
        Measurement("train.backward_passes", trained.backwards / n, "passes/step", "lower", n_used=n),
        Measurement("train.peak_memory", float(_peak_bytes()), "bytes", "lower"),
    ]


def _accuracy_numbers(
    final: Subject, sample: Sequence[Example], planned: int, test: Sequence[Example]
) -> list[Measurement]:
    on_train, on_test = _accuracy(final, sample), _accuracy(final, test)
    return [
        Measurement("train.accuracy_train", on_train, "share", "higher", {}, len(sample), planned),
        Measurement("train.gap", on_train - on_test, "share", "lower", {}, len(sample), planned),
    ]


def _validation_numbers(trained: Trained, n: int) -> list[Measurement]:
    return [
        Measurement(f"train.validation_{name}", getattr(scores, name), unit, better, {"step": scores.step}, n, n)
        for scores in trained.evaluations.scores
        for name, unit, better in VALIDATION
    ]


def _probe_numbers(trained: Trained) -> list[Measurement]:
    found = zip(trained.probe_step, trained.probe_norm, strict=True)
    return [
        Measurement("gradient.probe_norm", float(norms.square().sum().sqrt()), "norm", "neither", {"step": step})
        for step, norms in found
    ]


def _accuracy(subject: Subject, examples: Sequence[Example]) -> float:
    labels = np.array([example.label for example in examples])
    probabilities = subject.predict(examples)
    # A row that is not finite is no answer, though argmax would name a class.
    right = (probabilities.argmax(axis=1) == labels) & np.isfinite(probabilities).all(axis=1)
    return float(right.mean())


def _forget_peak() -> None:
    """Make Linux count the peak of resident memory anew, so that this process's earlier trials do not count."""
    # Some containers forbid it: then the peak is that of the process.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024  # others count kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _write_trace(request: TrainRequest, loop: Loop, trained: Trained) -> None:
    arrays: dict[str, Any] = {
        "blocks": np.array(loop.anatomy.block_names),
        "probe_step": np.array(trained.probe_step),
        "probe_norm": torch.stack(trained.probe_norm).numpy(),
    }
    for monitor in loop.monitors:
        arrays |= monitor.arrays()
    np.savez_compressed(request.folder / "trace.npz", **arrays)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
