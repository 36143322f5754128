"""The trainings of a search: cells done by the ordinary pool into the ordinary store, without a run around them.

No claims and no report are made: a search reads the cells itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from stabbench.execution.job import Study, jobs_for
from stabbench.execution.pool import Pool
from stabbench.execution.progress import RunProgress
from stabbench.planning.keys import finished
from stabbench.runner import RunOptions, check_inputs, plan_for
from stabbench.store.cells import StoredCell


@dataclass(frozen=True)
class Worked:
    """What came of it.

    Attributes:
        cells: finished, by id; those that were in the store already among them.
        errors: of cells that ended in one, by id.
        interrupted: whether the user stopped the work.
    """

    cells: dict[str, StoredCell]
    errors: dict[str, dict[str, str]]
    interrupted: bool


def work_only(options: RunOptions) -> Worked:
    """Do what is missing of a suite's cells; no cell is started after `options.max_seconds`.

    Raises:
        ConfigurationError: the suite or the data is wrong; nothing was run.
        AssetError: a model or data set cannot be had; nothing was run.
    """
    plan, store = plan_for(options)
    errors: dict[str, dict[str, str]] = {}
    if not plan.pending:
        return Worked(finished(plan.cells, store), errors, False)
    check_inputs(plan.loaded, offline=options.offline)
    interrupted = False
    with RunProgress(len(plan.cells), len(plan.cached)) as progress:

        def on_event(event: dict[str, Any]) -> None:
            if event["event"] == "error":
                errors[event["cell"]] = event["error"]
            progress.show(event)

        pool = Pool(
            study=Study.of(plan.loaded, str(store.root.resolve()), offline=options.offline),
            jobs=options.jobs or plan.loaded.suite.budget.jobs,
            on_event=on_event,
            deadline=None if options.max_seconds is None else time.monotonic() + options.max_seconds,
        )
        trained = {cell.id for cell in plan.cells if cell.kind == "train" and cell.id in plan.cached}
        try:
            pool.run(jobs_for(plan.cells, [cell.id for cell in plan.pending]), trained)
        except KeyboardInterrupt:
            interrupted = True
    return Worked(finished(plan.cells, store), errors, interrupted)
