"""``stabbench merge``: the shards of one run, made apart, become one run with one verdict.

Shards are runs of one resolved suite with different ``--select``, on one machine or several. Their cells are copied
into one store, each whole or not at all, and everything else is derived from them anew, as at the end of any run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.execution.conclude import Outcome, conclude, now
from stabbench.execution.shards import cells_as_made, check_same_suite, find_cells, unite
from stabbench.planning.cells import cells as cells_of
from stabbench.planning.keys import resolve
from stabbench.planning.plan import Plan, formula
from stabbench.store.cells import Store
from stabbench.store.run_folder import RunFolder
from stabbench.suite.load import LoadedSuite
from stabbench.suite.stored import stored_suite

_NOTHING = "Nothing was merged."


def merge(
    runs: Sequence[RunFolder],
    store: Store,
    out: Path | None = None,
    *,
    more_stores: Sequence[Path] = (),
    allow_drift: bool = False,
) -> Outcome:
    """Merge sharded runs and return how it ended: complete, or incomplete where no shard has a cell.

    Args:
        runs: the shards; each one's store is looked for where its plan says, and in ``.stabbench/store`` beside its
            ``runs`` folder.
        store: where all cells are copied to; a cell that is there already is done.
        out: folder of the merged run; None: ``runs/<UTC>-<suite>``.
        more_stores: further stores to look for cells in.
        allow_drift: let shards differ in libraries, precision, device or instruction set, and say so in the report.

    Raises:
        ConfigurationError: a smoke run, a run given twice, a store that is not here, or an `out` of another suite.
        NotComparableError: the shards are not parts of one suite, or were not made alike; the fields are named.
        StoreError: a cell is damaged.
    """
    check_same_suite(runs)
    loaded = _loaded(runs[0])
    planned = cells_of(loaded)
    stores = [*map(Store, more_stores), store]
    chosen, drift = unite(planned, find_cells(planned, runs, stores), store, allow_drift=allow_drift)
    folder = _folder(out, loaded, runs)
    for found in chosen.values():
        store.adopt(found.stored)
    cells = cells_as_made(planned, chosen)
    plan = Plan(loaded, cells, resolve(cells, store), frozenset(), formula(loaded, cells))
    folder.append({"event": "merged", "time": now(), "runs": [str(run.path) for run in runs]})
    for text in drift:
        folder.append({"event": "drift", "time": now(), "message": text})
        print(f"warning: the shards differ in {text}", file=sys.stderr)
    errors = {cell: error for run in runs for cell, error in run.errors.items() if cell not in chosen}
    for cell, error in errors.items():
        folder.append({"event": "cell-error", "time": now(), "cell": cell, "error": error})
    return conclude(plan, store, folder, errors, interrupted=False, smoke=False)


def _loaded(run: RunFolder) -> LoadedSuite:
    """Return a run's suite, with its file where that is here: paths of data files are relative to it."""
    named = Path(run.plan.get("suite_file") or "")
    path = named if named.is_file() else run.path / "suite.resolved.yaml"
    return LoadedSuite(stored_suite(run.suite), path, (), run.suite)


def _folder(out: Path | None, loaded: LoadedSuite, runs: Sequence[RunFolder]) -> RunFolder:
    name = loaded.suite.name
    path = out or Path("runs") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}"
    if path.resolve() in [run.path.resolve() for run in runs]:
        raise ConfigurationError([f"--out {path} is one of the runs to merge; name another"], note=_NOTHING)
    folder = RunFolder(path)
    if (path / "plan.json").exists() and folder.plan["suite"] != name:
        message = f"--out {path} holds a run of suite '{folder.plan['suite']}', not of '{name}'; name another folder"
        raise ConfigurationError([message], note=_NOTHING)
    path.mkdir(parents=True, exist_ok=True)
    folder = RunFolder(path)
    folder.write_text("suite.resolved.yaml", (runs[0].path / "suite.resolved.yaml").read_text(encoding="utf-8"))
    folder.write_json("environment.json", _environment(runs))
    return folder


def _environment(runs: Sequence[RunFolder]) -> dict[str, Any]:
    """The first shard's description, with where and when each shard was made."""
    shards = [
        {"run": run.path.name, **{name: run.environment.get(name) for name in ("started", "platform", "processor")}}
        for run in runs
    ]
    started = min(str(run.environment.get("started", "")) for run in runs)
    return {**runs[0].environment, "command": sys.argv[1:], "started": started, "merged": shards}
