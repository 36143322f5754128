"""A finished checkpoint in the place of a training: loaded, its outputs put in the data's order, kept in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from stabbench.data.example import Dataset
from stabbench.data.labels import read_outputs
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_subject, save_subject, state_hash, weights_hash
from stabbench.models.outputs import reorder_outputs
from stabbench.models.served import served_subject
from stabbench.models.subject import Subject
from stabbench.suite.schema import TrainOptions
from stabbench.training.failure import failure_reason
from stabbench.training.request import TrainResult

METRIC: Literal["accuracy"] = "accuracy"


def adopt(
    source: str | Path,
    revision: str | None,
    dataset: Dataset,
    train: TrainOptions,
    classes: Sequence[str] | None,
    folder: Path,
) -> TrainResult:
    """Write a checkpoint into ``folder/model`` as a trained model is, and return the subject; nothing is measured.

    Output j of the subject is ``dataset.classes[j]``. Its details say whether it has collapsed, by the rule of failed
    runs (`failure_reason`): then its robustness says nothing.

    Args:
        source: a folder, or a hub id.
        revision: commit of a hub id.
        dataset: `test` is what it is measured on.
        train: of it only `max_length` and `threads` are read.
        classes: label of each of its outputs; None: told by its config.
        folder: where ``model/`` is written.

    Raises:
        ConfigurationError: it is no classifier, has no tokenizer, or its outputs cannot be told.
    """
    subject = load_subject(source, revision=revision)
    model = subject.model
    assert model is not None
    found = {dataset.classes[example.label] for example in dataset.test}
    outputs = read_outputs(subject.classes, found, classes, f"checkpoint '{source}'")
    order = output_order(outputs.labels, dataset.classes, str(source))
    texts = [example.content for example in dataset.test[:2]]
    reorder_outputs(model, order, subject.encode(texts))
    model.config.id2label = dict(enumerate(dataset.classes))  # type: ignore[union-attr]
    model.config.label2id = {name: index for index, name in enumerate(dataset.classes)}  # type: ignore[union-attr]
    # Never more than its positions hold.
    longest = min(train.max_length, subject.max_length)
    save_subject(model, subject.tokenizer, folder / "model", dataset.classes, longest)
    final = Subject(subject.tokenizer, subject.logits, dataset.classes, longest, model, folder / "model")
    reason = failure_reason([e.label for e in dataset.test], final.predict(dataset.test), METRIC, finite_loss=True)
    details = {
        "hashes": {"init": state_hash(model), "order": [], "dropout": ""},
        "weights": weights_hash(folder / "model"),
        "failed": reason is not None,
        "failed_reason": reason,
        "precision": "fp32",
        "threads": train.threads,
        "steps": 0,
        "classes": list(dataset.classes),
        "source": str(source),
        "outputs": list(outputs.labels),
        "outputs_note": outputs.note,
        "max_length": longest,
    }
    return TrainResult(final, [], details)


def adopt_callable(name: str, dataset: Dataset, classes: Sequence[str] | None) -> TrainResult:
    """Return the subject of a callable that the driver serves, and its details; there are no weights to keep.

    Args:
        name: ``callable:…``; it stands for the weights in keys, and no two callables have the same.
        dataset: as for `adopt`.
        classes: label of each column of its probabilities; None: the classes themselves.

    Raises:
        ConfigurationError: nobody serves it, or its columns are not the classes.
    """
    labels = tuple(classes or dataset.classes)
    order = output_order(labels, dataset.classes, name)
    subject = served_subject(name, dataset.classes, order)
    reason = failure_reason([e.label for e in dataset.test], subject.predict(dataset.test), METRIC, finite_loss=True)
    details = {
        "hashes": {"init": name, "order": [], "dropout": ""},
        "weights": name,
        "failed": reason is not None,
        "failed_reason": reason,
        "precision": "unknown",
        "threads": 1,
        "steps": 0,
        "classes": list(dataset.classes),
        "source": "a Python callable",
        "outputs": list(labels),
        "outputs_note": "as given",
        "max_length": None,
        "callable": {"name": name, "order": order},
    }
    return TrainResult(subject, [], details)


def served(details: Mapping[str, Any]) -> Subject:
    """Return the subject of a callable from the details that `adopt_callable` wrote.

    Raises:
        ConfigurationError: nobody serves it any more.
    """
    return served_subject(details["callable"]["name"], details["classes"], details["callable"]["order"])


def output_order(labels: Sequence[str], classes: Sequence[str], source: str) -> list[int]:
    """Return for each class which output is its; the classes must be the outputs' labels, all of them.

    Raises:
        ConfigurationError: they are not.
    """
    if set(labels) != set(classes):
        more = ", ".join(label for label in labels if label not in classes)
        raise ConfigurationError(
            [
                f"checkpoint '{source}' has outputs for {', '.join(labels)}; the data's classes are "
                f"{', '.join(classes)}"
                + (f"; set data.classes: [{', '.join(labels)}] so that {more} counts too" if more else "")
            ]
        )
    return [list(labels).index(name) for name in classes]
