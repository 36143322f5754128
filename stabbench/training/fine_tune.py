"""One trial from a pretrained encoder to a subject with its traces, hashes and first numbers."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from stabbench import registry
from stabbench.data.example import Example
from stabbench.models.anatomy import anatomy
from stabbench.models.encoding import encode_texts
from stabbench.models.loading import load_pretrained, save_subject, state_hash, weights_hash
from stabbench.models.subject import Subject, torch_logits
from stabbench.monitors.base import Monitor
from stabbench.records import Measurement
from stabbench.stabilizers.base import Stabilizer
from stabbench.training.failure import failure_reason
from stabbench.training.gradient_probe import GradientProbe, fixed_sample
from stabbench.training.loop import Loop, Trained
from stabbench.training.request import TrainRequest, TrainResult

TRAIN_SAMPLE = 500
"""Training examples whose accuracy is measured after training, at most."""


def fine_tune(request: TrainRequest) -> TrainResult:
    """Fine-tune one model, write ``model/`` and ``trace.npz`` into the request's folder, and return the subject.

    Measured are: train.failed (0 or 1), train.seconds and train.steps_per_second (the loop alone), train.peak_memory
    (bytes, of the process), train.accuracy_before (test split, new head, before the first step), train.accuracy_train,
    train.gap (train − test accuracy), gradient.probe_norm at checkpoints, and what the monitors report. A run that
    fails, by the rule of `failure_reason`, is a result like any other. Thread count and random state are left as found.
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
    for stabilizer in stabilizers:
        train = stabilizer.plan(train)

    def subject() -> Subject:
        return Subject(tokenizer, torch_logits(model.eval()), classes, train.max_length, model)

    before = _accuracy(subject(), test)
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
    )
    start = time.perf_counter()
    trained = loop.run()
    seconds = time.perf_counter() - start
    model.to("cpu").zero_grad(set_to_none=True)
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
    }
    measurements = [
        *_training_numbers(trained, seconds, reason),
        *_accuracy_numbers(final, before, fixed_sample(examples, TRAIN_SAMPLE, "train-accuracy"), test),
        *_probe_numbers(trained),
        *(measurement for monitor in monitors for measurement in monitor.measurements()),
    ]
    return TrainResult(final, measurements, details)


def _training_numbers(trained: Trained, seconds: float, reason: str | None) -> list[Measurement]:
    scale = 1 if sys.platform == "darwin" else 1024  # Linux counts kilobytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return [
        Measurement("train.failed", float(reason is not None), "share", "lower", n_used=1, n_planned=1),
        Measurement("train.seconds", seconds, "seconds", "lower", n_used=trained.steps, n_planned=trained.steps),
        Measurement("train.steps_per_second", trained.steps / seconds, "steps/s", "higher", n_used=trained.steps),
        Measurement("train.peak_memory", float(peak), "bytes", "lower"),
    ]


def _accuracy_numbers(
    final: Subject, before: float, sample: Sequence[Example], test: Sequence[Example]
) -> list[Measurement]:
    on_train, on_test = _accuracy(final, sample), _accuracy(final, test)
    return [
        Measurement("train.accuracy_before", before, "share", "higher", {}, len(test), len(test)),
        Measurement("train.accuracy_train", on_train, "share", "higher", {}, len(sample), len(sample)),
        Measurement("train.gap", on_train - on_test, "share", "lower", {}, len(sample), len(sample)),
    ]


def _probe_numbers(trained: Trained) -> list[Measurement]:
    found = zip(trained.probe_step, trained.probe_norm, strict=True)
    return [
        Measurement("gradient.probe_norm", float(norms.square().sum().sqrt()), "norm", "neither", {"step": step})
        for step, norms in found
    ]


def _accuracy(subject: Subject, examples: Sequence[Example]) -> float:
    labels = np.array([example.label for example in examples])
    return float((subject.predict(examples).argmax(axis=1) == labels).mean())


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
