"""The commands that run a suite with other values of its options: `sweep`, `tune`. `cli` takes them in."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer()

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="a suite file, or the name of a shipped suite")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="number of seeds")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="trials side by side")]
MaxTime = Annotated[str | None, typer.Option(metavar="45m", help="start no cell after so long, over all runs")]
Offline = Annotated[bool, typer.Option("--offline", help="refuse every non-local connection")]
Fresh = Annotated[bool, typer.Option(help="ignore what is cached")]
Smoke = Annotated[bool, typer.Option(help="tiny model and data, 2 seeds; never a verdict")]
StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="folder of finished cells")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="folder of the results; an existing one is resumed")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a value of the suite")]
Json = Annotated[bool, typer.Option("--json", help="print exactly one JSON document")]
DEFAULT_STORE = Path(".stabbench/store")
RANGE = "KEY=LO..HI or KEY=A,B,C; KEY is train.OPTION or stabilizers.NAME.OPTION"


@app.command()
def sweep(
    suite: SuiteArgument = "quick",
    over: Annotated[str, typer.Option(metavar="KEY=LO..HI", help=RANGE)] = "train.learning_rate=1e-5..1e-3",
    points: Annotated[int, typer.Option(min=2, help="values of the grid, spread by equal ratios")] = 6,
    seeds: Seeds = None,
    jobs: Jobs = None,
    max_time: MaxTime = None,
    offline: Offline = False,
    fresh: Fresh = False,
    smoke: Smoke = False,
    store: StoreOption = DEFAULT_STORE,
    out: Out = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Run every variant over the same grid of one option: where does each begin to fail? Running it again resumes."""
    from stabbench.report.sweep_page import sweep_text
    from stabbench.search.sweep import sweep as run_sweep

    options = _options(suite, set_, seeds, jobs, max_time, store, out, offline=offline, fresh=fresh, smoke=smoke)
    found = run_sweep(options, over, points)
    if as_json:
        _print_json(found.document)
    else:
        print(sweep_text(found.document))
        print(f"report: {found.document['report']}")
        last = found.document["runs"][-1] if found.document["runs"] else suite
        print(f"next: open the report, or stabbench report {last}")
    raise typer.Exit(found.exit_code)


@app.command()
def tune(
    suite: SuiteArgument = "quick",
    over: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=…", help=f"{RANGE}; default: the learning rate around each variant's own"),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="trials of every variant, its own values first")] = 10,
    tuning_seeds: Annotated[int, typer.Option(min=1, help="trainings of each trial, at most")] = 2,
    seeds: Seeds = None,
    jobs: Jobs = None,
    max_time: MaxTime = None,
    offline: Offline = False,
    smoke: Smoke = False,
    store: StoreOption = DEFAULT_STORE,
    out: Out = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Search options of every variant on validation data, alike for each; then run the winners on fresh seeds."""
    from stabbench.search.tune import TuneOptions, tune_text
    from stabbench.search.tune import tune as run_tune

    options = _options(suite, set_, seeds, jobs, max_time, store, out, offline=offline, fresh=False, smoke=smoke)
    found = run_tune(options, TuneOptions(tuple(over or ()), trials, tuning_seeds))
    if as_json:
        _print_json(found.document)
    else:
        print(tune_text(found.document))
        _print_confirmation(found.confirmation, smoke)
    raise typer.Exit(found.exit_code)


def _print_confirmation(outcome: Any, smoke: bool) -> None:
    from stabbench.execution.terminal import print_verdict

    command = " ".join(["stabbench", *sys.argv[1:]])
    if outcome is None:
        print(f"the search is incomplete; the same command goes on where it stopped: {command}")
    else:
        print_verdict(outcome.verdict, smoke=smoke, command=command)


def _options(
    suite: str,
    set_: list[str] | None,
    seeds: int | None,
    jobs: int | None,
    max_time: str | None,
    store: Path,
    out: Path | None,
    *,
    offline: bool,
    fresh: bool,
    smoke: bool,
) -> Any:
    from stabbench.planning.selection import seconds_of
    from stabbench.runner import RunOptions

    overrides = (*(set_ or ()), *([] if seeds is None else [f"seeds={seeds}"]))
    seconds = seconds_of(max_time) if max_time else None
    return RunOptions(suite, overrides, None, jobs, seconds, offline, fresh, smoke, store, out)


def _print_json(content: Any) -> None:
    from stabbench.records import finite

    sys.stdout.write(json.dumps(finite(content), indent=1, ensure_ascii=False) + "\n")
