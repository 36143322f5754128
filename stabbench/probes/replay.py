"""Adversarial texts made against another model, put to this one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from stabbench.data.replay_pairs import Pair, read_pairs
from stabbench.errors import ConfigurationError, Problem, unknown_name
from stabbench.models.subject import Subject
from stabbench.probes._once import probabilities_once, refuse_pairs
from stabbench.probes._polarity import NEGATIVE, POSITIVE, named_polarity
from stabbench.probes._predictions import answers
from stabbench.probes.base import Applies, Context, Probe
from stabbench.records import Coordinate, Direction, Measurement, finite
from stabbench.suite.option_files import option_file


@dataclass(frozen=True)
class Replay(Probe):
    """Accuracy on published adversarial texts and on their originals, and how often right turns to wrong.

    The form of a file stands in `stabbench.data.replay_pairs`; the default is a small set of our own, for sentiment.
    All metrics are given at {source}, the file's stem and its recipe, and at {} over all files. Texts that equal their
    original (the published attack skipped them) count in both accuracies and in no rate.

    Stores ``replay.npz``: source (N,) str, line, label, clean, predicted (N,) int64 answers to the originals and to the
    changed texts, changed (N,) bool, misled (N,) int64: whether the published model was misled, −1 unknown. And
    ``replay.jsonl``, one row per text that misled this model: source, line, label, original, text, predicted and
    probabilities of both.
    """

    version: ClassVar[int] = 1
    applies: ClassVar[Applies] = "both"
    reads: ClassVar[Mapping[str, str]] = {"files": "replay"}
    paper: ClassVar[str] = """
        Morris et al. 2020, arXiv:2005.05909 (attack logs); transfer of adversarial texts: Papernot et al. 2016,
        arXiv:1605.07277
    """
    equation: ClassVar[str] = """
        With x the N originals, x′ their changed texts, D = {i: x′ᵢ ≠ xᵢ} and C = {i ∈ D: f(xᵢ) = yᵢ}:
        clean_accuracy = (1/N) Σ [f(xᵢ) = yᵢ]; accuracy = (1/N) Σ [f(x′ᵢ) = yᵢ];
        success_rate = |{i ∈ C: f(x′ᵢ) ≠ yᵢ}| / |C|; transfer_rate: the same over the i ∈ C that misled the published
        model; both are unknown where nothing is counted.
    """
    changes: ClassVar[str] = "Nothing: it reads files of texts, and no example of the task."
    cost: ClassVar[str] = "One pass over the distinct texts of the files: 2 for each line at most."
    departures: ClassVar[str] = "Nothing is searched: the texts stay as they were published."
    pitfalls: ClassVar[str] = """
        Texts that were made against one model rarely mislead another: a low success_rate is no robustness to an attack
        on this model; take the probe `attack` for that. Published texts need not keep their meaning, so some labels are
        wrong. Where the originals stand in the training data, clean_accuracy is that of training.
    """

    files: Annotated[
        tuple[str, ...],
        Field(min_length=1, description="JSONL files, relative to the suite file, or builtin:hand-written"),
    ] = ("builtin:hand-written",)
    text: Annotated[str, Field(description="key of the adversarial text")] = "text"
    original: Annotated[str, Field(description="key of the text it was made from")] = "orig_text"
    label: Annotated[str, Field(description="key of the right answer: a number or the name of a class")] = "label"
    classes: Annotated[
        tuple[str, ...], Field(description="classes of the model that the files' labels 0, 1, … mean; empty: by name")
    ] = ()
    batch_size: Annotated[
        int, Field(ge=1, description="texts in one call; a compressed subject whose answers depend on it gets 1")
    ] = 32

    def measure(self, subject: Subject, context: Context) -> list[Measurement]:
        """Return the rates over all texts and of each source.

        Raises:
            ConfigurationError: a file is missing or wrong, or it is not known which class a label means.
        """
        refuse_pairs("replay", context)
        paths = [option_file("replay", name, context.suite_folder) for name in self.files]
        pairs = [pair for path in paths for pair in read_pairs(path, self.text, self.original, self.label)]
        label = label_indices(pairs, subject.classes, self.classes)
        texts = [text for pair in pairs for text in (pair.original, pair.changed)]
        probabilities = probabilities_once(subject, context, texts, self.batch_size).reshape(len(pairs), 2, -1)
        found: dict[str, Any] = {
            "source": np.array([pair.source for pair in pairs]),
            "line": np.array([pair.line for pair in pairs], dtype=np.int64),
            "label": label,
            "clean": answers(probabilities[:, 0]),
            "predicted": answers(probabilities[:, 1]),
            "changed": np.array([pair.original != pair.changed for pair in pairs]),
            "misled": np.array([-1 if pair.misled is None else int(pair.misled) for pair in pairs], dtype=np.int64),
        }
        np.savez_compressed(context.folder / "replay.npz", **found)
        _store_misled(context, pairs, found, probabilities)
        sources = dict.fromkeys(pair.source for pair in pairs)
        everything = rates({}, found, np.ones(len(pairs), dtype=bool))
        return [*everything, *(m for s in sources for m in rates({"source": s}, found, found["source"] == s))]


def label_indices(pairs: Sequence[Pair], classes: Sequence[str], given: Sequence[str]) -> np.ndarray:
    """Return (N,) indices of the classes that the pairs' labels mean.

    A label means the class of that name; a number means the class that `given` has in its place; without `given`, of
    two classes known to be negative and positive, 0 means the negative and 1 the positive one.

    Raises:
        ConfigurationError: `given` names an unknown class, or a label means none; every such line is named.
    """
    if unknown := [name for name in given if name not in classes]:
        raise ConfigurationError([f"probes.replay.classes: {unknown_name('class', name, classes)}" for name in unknown])
    meant = {str(number): name for number, name in enumerate(given)}
    if not given:
        meant = {name: name for name in classes} | (_by_polarity(classes) if not _all_named(pairs, classes) else {})
    problems = [
        Problem(
            f"label '{pair.label}' is no class of the model ({', '.join(classes)}); say what the labels mean: "
            f"replay: {{classes: [{', '.join(classes)}]}} for 0, 1, …",
            pair.file,
            pair.line,
        )
        for pair in pairs
        if meant.get(str(pair.label), str(pair.label)) not in classes
    ]
    if problems:
        raise ConfigurationError(problems[:20])
    return np.array([classes.index(meant.get(str(p.label), str(p.label))) for p in pairs], dtype=np.int64)


def _all_named(pairs: Sequence[Pair], classes: Sequence[str]) -> bool:
    return all(str(pair.label) in classes for pair in pairs)


def _by_polarity(classes: Sequence[str]) -> dict[str, str]:
    polarity = named_polarity(classes) if len(classes) == 2 else None
    if polarity is None:
        return {}
    codes = polarity.codes.tolist()
    return {str(number): classes[codes.index(code)] for number, code in enumerate((NEGATIVE, POSITIVE))}


def rates(at: Mapping[str, Coordinate], found: Mapping[str, np.ndarray], of: np.ndarray) -> list[Measurement]:
    """Return the rates of some of the pairs.

    Args:
        at: coordinates of the measurements.
        found: the arrays of ``replay.npz``.
        of: (N,) bool, which pairs.
    """
    right = {name: found[name][of] == found["label"][of] for name in ("clean", "predicted")}
    held = right["clean"] & found["changed"][of]
    transferred = held & (found["misled"][of] == 1)
    n = int(of.sum())
    values: list[tuple[str, np.ndarray, Direction]] = [
        ("clean_accuracy", right["clean"], "higher"),
        ("accuracy", right["predicted"], "higher"),
        ("success_rate", ~right["predicted"][held], "lower"),
    ]
    if (found["misled"][of] >= 0).any():
        values.append(("transfer_rate", ~right["predicted"][transferred], "lower"))
    return [
        Measurement(f"replay.{name}", float(hits.mean()) if len(hits) else None, "share", better, at, len(hits), n)
        for name, hits, better in values
    ]


def _store_misled(
    context: Context, pairs: Sequence[Pair], found: Mapping[str, np.ndarray], probabilities: np.ndarray
) -> None:
    misled = (found["clean"] == found["label"]) & (found["predicted"] != found["label"]) & found["changed"]
    with (context.folder / "replay.jsonl").open("w", encoding="utf-8") as stream:
        for row in np.flatnonzero(misled).tolist():
            pair: Pair = pairs[row]
            told: dict[str, Any] = {
                "source": pair.source,
                "line": pair.line,
                "label": int(found["label"][row]),
                "original": pair.original,
                "text": pair.changed,
                "predicted": [int(found["clean"][row]), int(found["predicted"][row])],
                "probabilities": probabilities[row].tolist(),
            }
            stream.write(json.dumps(finite(told)) + "\n")
