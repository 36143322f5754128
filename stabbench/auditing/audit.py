"""An audit from a checkpoint and a file of labelled texts to a verdict and a report."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stabbench.auditing.checkpoints import Examined, examine_callable, examine_checkpoint
from stabbench.auditing.request import AuditRequest, Predictor
from stabbench.auditing.serving import callable_name, serving
from stabbench.auditing.written import audit_suite, same_audit, suite_text
from stabbench.data.columns import choose_columns
from stabbench.data.reading import RawRow, read_rows
from stabbench.errors import ConfigurationError, Problem
from stabbench.execution.conclude import Outcome, relative
from stabbench.execution.loaded_run import LoadedRun
from stabbench.execution.loaded_run import load as load_run
from stabbench.runner import RunOptions
from stabbench.runner import run as run_suite
from stabbench.suite.schema import SplitFile

SUITE = "audit.yaml"


@dataclass(frozen=True)
class Prepared:
    """An audit that is ready to run.

    Attributes:
        text: the suite as YAML.
        notes: what was told of columns, labels and probes.
        predictors: callables by name.
    """

    text: str
    notes: tuple[str, ...]
    predictors: Mapping[str, Predictor]


def audit(request: AuditRequest) -> Outcome:
    """Measure checkpoints as `AuditRequest` says, and return how the run ended; its suite lies beside its report.

    Raises:
        ConfigurationError: the model, the data or an option is wrong; nothing was run.
        AssetError: something that is needed cannot be had.
    """
    prepared = prepare(request)
    folder = request.out or Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-audit"
    path = folder / SUITE
    if not same_audit(path, prepared.text):
        raise ConfigurationError([f"--out {folder} holds another audit ({path}); name another folder"])
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(prepared.text, encoding="utf-8")
    for note in prepared.notes:
        print(f"audit: {note}", file=sys.stderr)
    print(f"audit: the same as this suite, {relative(path)}:\n{prepared.text}", file=sys.stderr)
    with serving(prepared.predictors):
        return run_suite(
            RunOptions(
                suite=str(path),
                jobs=request.jobs,
                max_seconds=request.max_seconds,
                offline=request.offline,
                store=request.store,
                out=folder,
            )
        )


def audit_python(model: str | Path | Predictor, data: str | Path, **options: Any) -> LoadedRun:
    """Audit a checkpoint or a callable, as ``stabbench audit`` does: what ``stabbench.audit`` is in Python.

    A callable takes a list of texts (of pairs: of tuples of two) and gives (n, C) probabilities; what needs gradients
    or the model's files is left out, and said so. Nothing of a callable is cached.

    Args:
        model: a folder or hub id of a fine-tuned classifier, or a callable.
        data: a csv, tsv, jsonl or parquet file of labelled texts.
        options: fields of `AuditRequest`, such as ``vs=``, ``label=``, ``classes=`` or ``probes=("accuracy",)``.

    Raises:
        ConfigurationError: the model, the data or an option is wrong; nothing was run.
        AssetError: something that is needed cannot be had.
        TypeError: there is no such option.
    """
    given: dict[str, Any] = dict(options)
    for name, kind in (("vs", str), ("store", Path), ("out", Path)):
        if isinstance(given.get(name), str | Path):
            given[name] = kind(given[name])
    subject = str(model) if isinstance(model, Path) else model
    request = AuditRequest(model=subject, data=Path(data), **given)
    return load_run(audit(request).folder.path)


def prepare(request: AuditRequest) -> Prepared:
    """Look at data and checkpoints, and return the suite that the audit is.

    Raises:
        ConfigurationError: with every problem found.
    """
    columns = choose_columns(request.data, request.text, request.text_pair, request.label)
    split = SplitFile(path=str(request.data), text=columns.text, text_pair=columns.pair, label=columns.label)
    rows = read_rows(request.data, split)
    labels = sorted({row.label for row in rows})
    _check_labels(request, labels)
    predictors: dict[str, Predictor] = {}
    examined = {
        variant: _examined(model, rows, labels, classes, predictors)
        for variant, (model, classes) in request.checkpoints.items()
    }
    classes = _common_classes(examined)
    suite, notes = audit_suite(request, examined, columns, classes)
    told = [f"{variant}: labels {found.outputs.note}" for variant, found in examined.items()]
    every = tuple(note for note in (columns.note, *told, *notes) if note)
    return Prepared(
        suite_text(suite, every, ["stabbench", *sys.argv[1:]] if _typed() else ["stabbench.audit"]), every, predictors
    )


def _typed() -> bool:
    """Return whether this is the command line's own process."""
    return len(sys.argv) > 1 and sys.argv[1] == "audit"


def _examined(
    model: str | Predictor,
    rows: Sequence[RawRow],
    labels: Sequence[str],
    classes: Sequence[str] | None,
    predictors: dict[str, Predictor],
) -> Examined:
    if isinstance(model, str):
        return examine_checkpoint(model, labels, classes)
    if not callable(model):
        raise ConfigurationError([f"the model is a {type(model).__name__}; expected a folder, a hub id or a callable"])
    name = callable_name()
    predictors[name] = model
    first = rows[0]
    return examine_callable(
        name, model, first.text if first.pair is None else (first.text, first.pair), labels, classes
    )


def _check_labels(request: AuditRequest, labels: Sequence[str]) -> None:
    place = str(request.data)
    if not labels:
        raise ConfigurationError([Problem("holds no labelled text", place)])
    if len(labels) > 1000 or (len(labels) == 1):
        found = f"only one label ('{labels[0]}')" if len(labels) == 1 else f"{len(labels)} labels"
        raise ConfigurationError([Problem(f"{found} in the label column; is it the right one? Say it: --label", place)])
    problems = [
        Problem(f"{option} '{label}': the data has no such label; it has {', '.join(labels)}", place)
        for option, given in (("--negative", request.negative), ("--positive", request.positive))
        for label in given
        if label not in labels
    ]
    if bool(request.negative) != bool(request.positive):
        problems.append(Problem("--negative and --positive go together; one of them is missing"))
    if problems:
        raise ConfigurationError(problems)


def _common_classes(examined: Mapping[str, Examined]) -> tuple[str, ...]:
    """Return the classes: the first checkpoint's outputs, in their order; the second must know the same labels."""
    first, *others = examined.items()
    classes = first[1].outputs.labels
    for variant, found in others:
        if set(found.outputs.labels) != set(classes):
            here, there = ", ".join(found.outputs.labels), ", ".join(classes)
            message = (
                f"{variant} ({found.name}) knows the labels {here}, and {first[0]} ({first[1].name}) knows {there}"
            )
            raise ConfigurationError([f"{message}; two checkpoints are compared on one task"])
    return classes
