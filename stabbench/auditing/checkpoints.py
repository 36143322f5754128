"""The checkpoints of an audit looked at before anything runs: can they be loaded, and what do their outputs mean?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stabbench.auditing.request import Predictor
from stabbench.data.example import Text
from stabbench.data.labels import Outputs, read_outputs
from stabbench.errors import ConfigurationError
from stabbench.models.loading import load_subject
from stabbench.models.served import checked_probabilities
from stabbench.models.sources import model_source
from stabbench.planning.fingerprints import model_folder
from stabbench.suite.schema import BUILTIN_MODELS, Model


@dataclass(frozen=True)
class Examined:
    """A checkpoint that can be measured.

    Attributes:
        name: how a suite calls it: an absolute folder, a hub id, or ``callable:…``.
        outputs: label of each output, and how that was told.
        names: what its config calls the outputs.
        max_length: tokens at which it cuts a text; None for a callable, which is given whole texts.
        has_model: False for a callable, whose inside cannot be seen.
    """

    name: str
    outputs: Outputs
    names: tuple[str, ...]
    max_length: int | None
    has_model: bool = True


def examine_checkpoint(name: str, labels: Sequence[str], classes: Sequence[str] | None) -> Examined:
    """Return what a folder or hub id holds.

    Args:
        name: a folder, a hub id, or ``builtin:NAME``.
        labels: labels of the data.
        classes: label of each output, or None.

    Raises:
        ConfigurationError: it cannot be measured; the message says why.
    """
    model = Model(name=name)
    folder = model_folder(model, Path())
    if folder is None and Path(name).exists():
        raise ConfigurationError([f"MODEL '{name}' is a file; name the folder that holds config.json and the weights"])
    looks_like_path = name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name
    if folder is None and (looks_like_path or (not name.startswith("builtin:") and not name.strip())):
        raise ConfigurationError([f"MODEL '{name}': there is no such folder"])
    if name.startswith("builtin:") and name not in BUILTIN_MODELS:
        raise ConfigurationError([f"MODEL '{name}': no such built-in model; give a folder or a hub id"])
    source, revision = model_source(model, Path())
    subject = load_subject(source, revision=revision)
    outputs = read_outputs(subject.classes, labels, classes, f"MODEL '{name}'")
    shown = name if folder is None else str(folder.resolve())
    return Examined(shown, outputs, subject.classes, subject.max_length)


def examine_callable(
    name: str, predict: Predictor, text: Text, labels: Sequence[str], classes: Sequence[str] | None
) -> Examined:
    """Return what a callable answers, asked once.

    Args:
        name: ``callable:…``.
        predict: texts → probabilities.
        text: any text of the data.
        labels: labels of the data.
        classes: label of each column of its probabilities, or None: then the data's labels must be numbers.

    Raises:
        ConfigurationError: it does not answer with probabilities, or its columns cannot be told.
    """
    found = checked_probabilities(predict([text]), 1)
    names = tuple(f"LABEL_{column}" for column in range(found.shape[1]))
    outputs = read_outputs(names, labels, classes, "the callable")
    return Examined(name, outputs, names, None, has_model=False)
