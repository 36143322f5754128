"""One run, from a suite's name to a verdict: plan, fetch, check the data, work, collect, decide, report.

Running the same command again *is* resuming: finished cells are found in the store, only the missing ones are done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from stabbench.claims.gate import Inconclusive
from stabbench.errors import ConfigurationError
from stabbench.execution.checkpoints import check_checkpoints
from stabbench.execution.conclude import Outcome, conclude, now
from stabbench.execution.job import Study, jobs_for
from stabbench.execution.loaded_run import LoadedRun
from stabbench.execution.loaded_run import load as load_run
from stabbench.execution.looks import Looks
from stabbench.execution.pool import Pool
from stabbench.execution.progress import RunProgress
from stabbench.execution.terminal import print_warnings
from stabbench.planning.keys import resolve
from stabbench.planning.plan import Plan, make_plan
from stabbench.planning.selection import smoke
from stabbench.records import Cell
from stabbench.store.cells import Store
from stabbench.store.environment import describe
from stabbench.store.run_folder import RunFolder
from stabbench.suite.fingerprint import uses_files
from stabbench.suite.load import LoadedSuite, load_suite

DEFAULT_STORE = Path(".stabbench/store")


@dataclass(frozen=True)
class RunOptions:
    """What the command line says beside the suite.

    Attributes:
        suite: a file, or the name of a shipped suite.
        overrides: ``KEY=VALUE`` texts of ``--set``; ``--seeds`` is one of them.
        select: see `planning.selection.selected`.
        jobs: processes side by side; None: the suite's budget.
        max_seconds: no cell is started after so long; None: the suite's budget.
        offline: refuse every non-local connection.
        fresh: ignore what is cached.
        smoke: tiny model and data, never a verdict.
        store: folder of cells.
        out: run folder; None: ``runs/<UTC>-<suite>``.
        inconclusive: what an undecided gate rule does: ``fail`` exits 5, ``warn`` says so, ``pass`` is silent.
        adapt: changes the loaded suite, for studies that run it with other values.
    """

    suite: str = "quick"
    overrides: tuple[str, ...] = ()
    select: str | None = None
    jobs: int | None = None
    max_seconds: float | None = None
    offline: bool = False
    fresh: bool = False
    smoke: bool = False
    store: Path = DEFAULT_STORE
    out: Path | None = None
    inconclusive: Inconclusive = "warn"
    adapt: Callable[[LoadedSuite], LoadedSuite] | None = None


def load(options: RunOptions) -> LoadedSuite:
    """Load the suite that the options name, made tiny for ``--smoke``."""
    loaded = load_suite(options.suite, options.overrides)
    if options.smoke:
        loaded = smoke(loaded)
    return loaded if options.adapt is None else options.adapt(loaded)


def plan_for(options: RunOptions) -> tuple[Plan, Store]:
    """Return the plan of a run and the store it was resolved against.

    With adaptive seeds: of all that there may be, unless the seeds that are done have decided already.
    """
    store = Store(options.store)
    looks = _looks(options, store)
    judged = looks.judged or {}
    return (replace(looks.plan, stopped=judged["text"]) if looks.ended and judged else looks.most), store


def _looks(options: RunOptions, store: Store) -> Looks:
    return Looks(make_plan(load(options), store, fresh=options.fresh), store, options.select, fresh=options.fresh)


def run(options: RunOptions) -> Outcome:
    """Do a run and return how it ended.

    Raises:
        ConfigurationError: the suite or the data is wrong; nothing was run.
        AssetError: a model or data set cannot be had; nothing was run.
    """
    started = datetime.now(UTC)
    store = Store(options.store)
    looks = _looks(options, store)
    print_warnings(looks.plan.loaded)
    if options.fresh or looks.todo():
        check_inputs(looks.plan.loaded, offline=options.offline)
    store.sweep()
    folder = _run_folder(options, looks.plan, started)
    if options.fresh:
        _forget(looks.most, store)
    folder.append({"event": "run-started", "time": now(), "pid": os.getpid()})
    errors: dict[str, dict[str, str]] = {}
    interrupted = _work(options, looks, store, folder, errors)
    store.sweep()
    outcome = conclude(
        looks.plan,
        store,
        folder,
        errors,
        interrupted=interrupted,
        smoke=options.smoke,
        inconclusive=options.inconclusive,
        looks=looks.summary(),
    )
    folder.append({"event": "run-finished", "time": now(), "status": outcome.verdict["status"]})
    return outcome


def run_suite(suite: str | Path = "quick", **options: Any) -> LoadedRun:
    """Do a suite, as ``stabbench run`` does, and return the run: what ``stabbench.run`` is in Python.

    Args:
        suite: a suite file, or the name of a shipped suite.
        options: fields of `RunOptions`, such as ``overrides=("seeds=3",)`` or ``jobs=2``.

    Raises:
        ConfigurationError: the suite or the data is wrong; nothing was run.
        AssetError: a model or data set cannot be had; nothing was run.
        TypeError: there is no such option.
    """
    return load_run(run(RunOptions(suite=str(suite), **options)).folder.path)


def check_inputs(loaded: LoadedSuite, *, offline: bool) -> None:
    """Fetch what the suite needs and read its files, so that every mistake in them is found before any training."""
    from stabbench.assets.needs import fetch_all
    from stabbench.data.dataset import load_dataset
    from stabbench.data.probe_files import check_probe_files
    from stabbench.models.sources import asset_folder

    check_probe_files(loaded.suite.probes, loaded.path.parent)
    fetch_all(loaded.suite, offline=offline)
    check_checkpoints(loaded)
    load_dataset(loaded.suite.data, loaded.suite.task, loaded.path.parent, asset_folder)


def check_data(loaded: LoadedSuite) -> str:
    """Read the suite's data where it is on this machine, and describe it; say so where it is not.

    Raises:
        ConfigurationError: rows are wrong; all of them are named.
    """
    from stabbench.assets.needs import missing
    from stabbench.data.dataset import load_dataset
    from stabbench.data.probe_files import check_probe_files
    from stabbench.models.sources import asset_folder

    check_probe_files(loaded.suite.probes, loaded.path.parent)
    absent = [name for name in missing(loaded.suite) if name == loaded.suite.data.source]
    from_hub = (loaded.suite.data.source or "").startswith("hub:") and not uses_files(loaded.suite.data)
    if absent or from_hub:
        return f"data not checked: {loaded.suite.data.source} is not on this machine (stabbench fetch)"
    data = load_dataset(loaded.suite.data, loaded.suite.task, loaded.path.parent, asset_folder)
    sizes = f"{len(data.train)} training, {len(data.validation)} validation, {len(data.test)} test examples"
    return f"{sizes}; classes {', '.join(data.classes)}"


def _run_folder(options: RunOptions, plan: Plan, started: datetime) -> RunFolder:
    """Make the run's folder, or take up the one that ``--out`` names."""
    name = plan.loaded.suite.name + ("-smoke" if options.smoke else "")
    path = options.out or Path("runs") / f"{started:%Y%m%dT%H%M%SZ}-{name}"
    folder = RunFolder(path)
    if (path / "plan.json").exists() and folder.plan["suite"] != plan.loaded.suite.name:
        other = f"--out {path} holds a run of suite '{folder.plan['suite']}'"
        raise ConfigurationError([f"{other}, not of '{plan.loaded.suite.name}'; name another folder"])
    path.mkdir(parents=True, exist_ok=True)
    folder.write_text("suite.resolved.yaml", _as_yaml(plan.loaded.resolved))
    folder.write_json(
        "environment.json",
        {
            **describe(),
            "command": sys.argv[1:],
            "started": started.isoformat(timespec="seconds"),
            "smoke": options.smoke,
        },
    )
    return folder


def _forget(plan: Plan, store: Store) -> None:
    for key in resolve(plan.cells, store).values():
        if key is not None:
            store.drop(key)


def _work(
    options: RunOptions, looks: Looks, store: Store, folder: RunFolder, errors: dict[str, dict[str, str]]
) -> bool:
    """Do what is missing, look by look; return whether the user interrupted."""
    minutes = looks.plan.loaded.suite.budget.minutes
    seconds = options.max_seconds or (minutes * 60 if minutes else None)
    deadline = time.monotonic() + seconds if seconds else None
    try:
        with _termination_as_interrupt():
            while True:
                if todo := looks.todo(errors):
                    _do(options, looks, todo, store, folder, errors, deadline)
                if not looks.advance(errors):
                    return False
                assert looks.judged is not None
                folder.append({"event": "look", "time": now(), **looks.judged})
                print(looks.judged["text"], file=sys.stderr)
    except KeyboardInterrupt:
        return True


def _do(
    options: RunOptions,
    looks: Looks,
    todo: list[Cell],
    store: Store,
    folder: RunFolder,
    errors: dict[str, dict[str, str]],
    deadline: float | None,
) -> None:
    """Do the cells of `todo`."""
    plan, done = looks.plan, looks.done()
    with RunProgress(len(plan.cells), len(done)) as progress:

        def on_event(event: dict[str, Any]) -> None:
            note = _note(event, store)
            if event["event"] == "error":
                errors[event["cell"]] = event["error"]
            folder.append({**event, "event": f"cell-{event['event']}", "time": now()})
            progress.show(event, note)

        pool = Pool(
            study=Study.of(plan.loaded, str(store.root.resolve()), offline=options.offline),
            jobs=options.jobs or plan.loaded.suite.budget.jobs,
            on_event=on_event,
            deadline=deadline,
        )
        trained = {cell.id for cell in plan.cells if cell.kind == "train" and cell.id in done}
        pool.run(jobs_for(plan.cells, [cell.id for cell in todo]), trained)


def _note(event: dict[str, Any], store: Store) -> str:
    """Say beside a finished training that it is a failed run, or of a checkpoint that it has collapsed."""
    if event["event"] != "done" or not event["cell"].startswith("train/"):
        return ""
    stored = store.get(event["key"])
    failed = stored is not None and stored.details["failed"]
    what = "collapsed" if stored is not None and "source" in stored.details else "failed run"
    return f"  {what}: {stored.details['failed_reason']}" if failed and stored else ""


def _as_yaml(content: dict[str, Any]) -> str:
    """Return YAML for people to read and for us to read back: JSON is YAML, so plain JSON types survive exactly."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe")
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = StringIO()
    yaml.dump(json.loads(json.dumps(content)), stream)
    return stream.getvalue()


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end the run as Ctrl-C does, so that what is finished is collected and reported."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
