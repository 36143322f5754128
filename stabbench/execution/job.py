"""What a worker process is given to do: cells that share a subject, and where everything is. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any, Literal

from stabbench.records import DENSE, Cell
from stabbench.suite.load import LoadedSuite
from stabbench.suite.schema import Data, Model, Task

Role = Literal["torch", "attack", "exclusive"]


@dataclass(frozen=True)
class Study:
    """What all jobs of a run share.

    Attributes:
        store: the store's folder.
        suite_folder: folder that the suite's relative paths start from.
        data, task, model: parts of the suite.
        offline: refuse every non-local connection.
    """

    store: str
    suite_folder: str
    data: Data
    task: Task
    model: Model
    offline: bool

    @classmethod
    def of(cls, loaded: LoadedSuite, store: str, *, offline: bool) -> Study:
        """Take the shared parts of a suite."""
        suite = loaded.suite
        return cls(store, str(loaded.path.parent.resolve()), suite.data, suite.task, suite.model, offline)

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON that `from_json` reads."""
        return {
            "store": self.store,
            "suite_folder": self.suite_folder,
            "data": self.data.model_dump(),
            "task": self.task.model_dump(),
            "model": self.model.model_dump(),
            "offline": self.offline,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Study:
        """Read what `as_json` gave."""
        return cls(
            store=content["store"],
            suite_folder=content["suite_folder"],
            data=Data.model_validate(content["data"]),
            task=Task.model_validate(content["task"]),
            model=Model.model_validate(content["model"]),
            offline=content["offline"],
        )


@dataclass(frozen=True)
class Job:
    """Cells that one worker does one after the other.

    Attributes:
        role: kind of process it needs.
        cells: still to do, parents before children.
        parents: train cells that the cells read (the job's own among them).
        threads: processor threads for torch.
    """

    role: Role
    cells: tuple[Cell, ...]
    parents: tuple[Cell, ...]
    threads: int = 1

    @property
    def waits_for(self) -> frozenset[str]:
        """Ids of the train cells that must be finished before the job can start."""
        return frozenset(cell.id for cell in self.parents) - {cell.id for cell in self.cells}

    def without(self, cell_id: str) -> Job:
        """Return the job with only the cells after `cell_id`."""
        ids = [cell.id for cell in self.cells]
        return replace(self, cells=self.cells[ids.index(cell_id) + 1 :])

    def as_json(self) -> dict[str, Any]:
        """Return plain JSON that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Job:
        """Read what `as_json` gave."""
        cells = {name: tuple(_cell(item) for item in content[name]) for name in ("cells", "parents")}
        return cls(role=content["role"], threads=content["threads"], **cells)


def _cell(item: Mapping[str, Any]) -> Cell:
    return Cell(**{**item, "parents": tuple(item["parents"])})


def jobs_for(cells: Sequence[Cell], todo: Iterable[str]) -> list[Job]:
    """Group the cells to do into jobs: per trial for torch, per trial for attacks, per panel, in that order.

    A trial's training and the probes of its subject, dense and compressed, are one job, so that the model is loaded,
    and its clean predictions are made, once.
    """
    wanted = set(todo)
    trains = {cell.id: cell for cell in cells if cell.kind == "train"}
    jobs: list[Job] = []
    for role in ("torch", "attack", "exclusive"):
        mine = [cell for cell in cells if cell.worker == role and cell.id in wanted]
        mine.sort(key=_order)
        for _, group in groupby(mine, key=lambda cell: (cell.seed, cell.variant) if cell.kind != "panel" else cell.id):
            members = tuple(group)
            needed = dict.fromkeys(p for cell in members for p in (cell.parents or (cell.id,)))
            parents = tuple(trains[parent] for parent in needed)
            jobs.append(Job(role, members, parents, max((_threads(parent) for parent in parents), default=1)))
    return jobs


def _order(cell: Cell) -> tuple[bool, int, str, str, bool, str]:
    """Panels last; seed by seed, so that an interrupted run has whole pairs; training first, then dense probes."""
    seed = int(cell.seed.split("/")[0]) if cell.seed else 0
    compression = "" if cell.compression == DENSE else cell.compression
    return (cell.kind == "panel", seed, cell.seed, cell.variant, cell.kind != "train", compression)


def _threads(train: Cell) -> int:
    return int(train.options["train"]["threads"])
