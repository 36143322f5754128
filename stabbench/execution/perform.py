"""Does a job's cells in this process; each cell is stored, or reported as an error by itself."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from stabbench import registry
from stabbench.compression.base import compress, load_compressed, material_for
from stabbench.data.dataset import load_dataset
from stabbench.data.example import Dataset
from stabbench.errors import StabbenchError
from stabbench.execution.job import Job, Study
from stabbench.models.loading import load_subject
from stabbench.models.sources import asset_folder, model_source
from stabbench.models.subject import Subject
from stabbench.planning.compute import Compute
from stabbench.planning.keys import cell_key
from stabbench.planning.trials import Checkpoint
from stabbench.probes.base import Context, Member
from stabbench.records import DENSE, Cell, Row
from stabbench.seeding import TrialSeeds
from stabbench.store.cells import Store, StoredCell
from stabbench.store.claims_on_cells import claim
from stabbench.store.environment import describe
from stabbench.suite.checkpoints import CALLABLE
from stabbench.suite.schema import TrainOptions
from stabbench.training.adopt import adopt, adopt_callable, served
from stabbench.training.fine_tune import fine_tune
from stabbench.training.request import TrainRequest, TrainResult

Emit = Callable[[dict[str, Any]], None]
_datasets: dict[str, Dataset] = {}


def perform(study: Study, job: Job, emit: Emit, until: float | None = None) -> None:
    """Do the cells of a job; a cell that raises is reported, and only what depends on it is left out.

    No cell is started after `until` (seconds since the epoch).
    """
    if study.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    with _Work(study, job) as work:
        for cell in job.cells:
            if until is not None and time.time() > until:
                return
            emit({"event": "started", "cell": cell.id})
            start = time.perf_counter()
            try:
                stored = work.do(cell)
            # The boundary of a cell: whatever a model, a library or third-party code raises is this cell's error alone.
            except Exception as error:
                emit({"event": "error", "cell": cell.id, "error": describe_error(error)})
                if cell.kind == "train":
                    return
                continue
            emit({"event": "done", "cell": cell.id, "seconds": time.perf_counter() - start, "key": stored.key})


def describe_error(error: BaseException) -> dict[str, str]:
    """Return type, message and traceback of an error as text."""
    message = str(error) if isinstance(error, StabbenchError) else f"{type(error).__name__}: {error}"
    return {"type": type(error).__name__, "message": message, "traceback": "".join(traceback.format_exception(error))}


class _Work:
    """One job in progress: the subject and its compressed artifacts, made when first needed."""

    def __init__(self, study: Study, job: Job) -> None:
        self.study = study
        self.job = job
        self.store = Store(Path(study.store))
        self.parents = {cell.id: cell for cell in job.parents}
        self.weights: dict[str, str | None] = {}
        self.subjects: dict[tuple[str, str], Subject] = {}
        self.stack = ExitStack()

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *_: object) -> None:
        self.subjects.clear()
        self.stack.close()

    def do(self, cell: Cell) -> StoredCell:
        """Return the stored cell: found, waited for, or made."""
        key = self.key(cell)
        with claim(self.store.root, key, lambda: self.store.path(key).exists()) as mine:
            if mine:
                with self.store.draft(key) as draft:
                    self.make(cell, key, draft)
        stored = self.store.get(key)
        assert stored is not None
        return stored

    def key(self, cell: Cell) -> str:
        for parent in cell.parents:
            if parent not in self.weights:
                self.weights[parent] = self.trained(parent).weights
        key = cell_key(cell, self.weights)
        assert key is not None
        return key

    def make(self, cell: Cell, key: str, draft: Path) -> None:
        """Do the work of a cell into `draft` and store it."""
        start = time.perf_counter()
        details: dict[str, Any] = {}
        if cell.kind == "train":
            result = self.train(cell, draft)
            details = dict(result.details)
            rows = [Row(cell.variant, cell.seed, DENSE, "train", m) for m in result.measurements]
            self.subjects[cell.id, DENSE] = result.subject
        elif cell.kind == "panel":
            rows = self.panel(cell, draft)
        else:
            rows = self.probe(cell, draft)
        stored = self.store.finish(draft, key, cell, rows, details, time.perf_counter() - start, describe())
        if cell.kind == "train" and stored.has_weights():
            self.subjects[cell.id, DENSE].folder = stored.folder / "model"

    def train(self, cell: Cell, folder: Path) -> TrainResult:
        options = cell.options
        if "checkpoint" in options:
            return self.adopt(cell, folder)
        source, revision = model_source(self.study.model, Path(self.study.suite_folder))
        return fine_tune(
            TrainRequest(
                model_source=source,
                revision=revision,
                dataset=self.dataset,
                train=TrainOptions.model_validate(options["train"]),
                stabilizers=[(name, given) for entry in options["stabilizers"] for name, given in entry.items()],
                monitors=options["monitors"],
                seeds=TrialSeeds.parse(cell.seed),
                metric=self.study.task.metric,
                folder=folder,
                compute=Compute(**options["compute"]) if "compute" in options else None,
            )
        )

    def adopt(self, cell: Cell, folder: Path) -> TrainResult:
        """Take in a finished checkpoint where others are trained."""
        checkpoint = Checkpoint.from_dict(cell.options["checkpoint"])
        train = TrainOptions.model_validate(cell.options["train"])
        if checkpoint.model.name.startswith(CALLABLE):
            return adopt_callable(checkpoint.model.name, self.dataset, checkpoint.classes)
        source, revision = model_source(checkpoint.model, Path(self.study.suite_folder))
        return adopt(source, revision, self.dataset, train, checkpoint.classes, folder)

    def probe(self, cell: Cell, folder: Path) -> list[Row]:
        (parent,) = cell.parents
        dense = self.subject(parent)
        subject = dense if cell.compression == DENSE else self.compressed(parent, cell.compression)
        probe = registry.load("probes", cell.probe)(**cell.options)
        suite_folder = Path(self.study.suite_folder)
        context = Context(self.dataset, folder, None if subject is dense else dense, suite_folder=suite_folder)
        return [Row(cell.variant, cell.seed, cell.compression, cell.probe, m) for m in probe.measure(subject, context)]

    def panel(self, cell: Cell, folder: Path) -> list[Row]:
        members = [self.member(*given) for given in cell.options["members"]]
        options = {name: value for name, value in cell.options.items() if name != "members"}
        self.subjects.clear()  # the measured processes load their own; ours would only hold memory
        probe = registry.load("probes", cell.probe)(**options)
        rows: list[Row] = probe.measure_panel(
            members, Context(self.dataset, folder, suite_folder=Path(self.study.suite_folder))
        )
        return rows

    def member(self, variant: str, seed: str, compression: str) -> Member:
        parent = next(cell for cell in self.job.parents if (cell.variant, cell.seed) == (variant, seed))
        self.subject(parent.id)
        folder = self.model_folder(parent.id)
        if compression == DENSE:
            return Member(variant, seed, compression, folder)
        return Member(variant, seed, compression, folder, self.compressed(parent.id, compression).folder)

    @property
    def dataset(self) -> Dataset:
        name = str(self.study.as_json()["data"])
        if name not in _datasets:
            folder = Path(self.study.suite_folder)
            _datasets[name] = load_dataset(self.study.data, self.study.task, folder, asset_folder)
        return _datasets[name]

    def trained(self, parent: str) -> StoredCell:
        key = cell_key(self.parents[parent], {})
        stored = self.store.get(key) if key else None
        assert stored is not None, f"{parent} must be trained before it is probed"
        return stored

    def subject(self, parent: str) -> Subject:
        if (parent, DENSE) not in self.subjects:
            details = self.trained(parent).details
            self.subjects[parent, DENSE] = (
                served(details) if "callable" in details else load_subject(self.model_folder(parent))
            )
        return self.subjects[parent, DENSE]

    def model_folder(self, parent: str) -> Path:
        stored = self.trained(parent)
        if not stored.has_weights():
            self.train_again(parent, stored)
        return stored.folder / "model"

    def train_again(self, parent: str, stored: StoredCell) -> None:
        """Repeat a training whose weights were not kept; the same trial gives the same weights, bit for bit."""
        with self.store.draft(stored.key) as draft:
            result = self.train(self.parents[parent], draft)
            found = result.details["weights"]
            if found != stored.weights:
                raise StabbenchError(f"{parent}: trained again, the weights differ ({found} against {stored.weights})")
            shutil.move(draft / "model", stored.folder / "model")

    def compressed(self, parent: str, label: str) -> Subject:
        if (parent, label) not in self.subjects:
            dense = self.subject(parent)
            material = material_for(label, self.dataset, self.parents[parent].seed)
            folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="stabbench-")))
            compress(label, dense, material, folder)
            self.subjects[parent, label] = load_compressed(label, folder, dense)
        return self.subjects[parent, label]
