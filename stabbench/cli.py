"""The command line. Data goes to standard output, everything else to standard error; heavy imports stay in commands."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from stabbench import cli_audit, cli_diagnosis
from stabbench.cli_bench import app as bench_app
from stabbench.cli_gate import Inconclusive, checked_inconclusive
from stabbench.cli_gate import app as gate_app
from stabbench.cli_runs import app as runs_app
from stabbench.cli_training import app as training_app
from stabbench.errors import ConfigurationError, StabbenchError

app = typer.Typer(
    name="stabbench",
    help="Is the stabilized recipe really better? Matched fine-tunings, probed and compared, with a verdict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(bench_app)
app.add_typer(gate_app)
app.add_typer(runs_app)
app.add_typer(training_app)

SuiteArgument = Annotated[str, typer.Argument(metavar="SUITE", help="a suite file, or the name of a shipped suite")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a value of the suite")]
Json = Annotated[bool, typer.Option("--json", help="print exactly one JSON document")]
StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="folder of finished cells")]
Offline = Annotated[bool, typer.Option("--offline", help="refuse every non-local connection")]
Jobs = Annotated[int | None, typer.Option("--jobs", min=1, help="trials side by side")]
Seeds = Annotated[int | None, typer.Option("--seeds", min=1, help="number of seeds")]
Select = Annotated[str | None, typer.Option(metavar="EXPR", help="only some cells: field=glob[,field=glob…]")]
Smoke = Annotated[bool, typer.Option(help="tiny model and data, 2 seeds; never a verdict")]
Fresh = Annotated[bool, typer.Option(help="ignore what is cached")]
DEFAULT_STORE = Path(".stabbench/store")


@app.command()
def run(
    suite: SuiteArgument = "quick",
    seeds: Seeds = None,
    select: Select = None,
    jobs: Jobs = None,
    executor: Annotated[str, typer.Option(help="local")] = "local",
    max_time: Annotated[str | None, typer.Option(metavar="45m", help="start no cell after so long")] = None,
    offline: Offline = False,
    fresh: Fresh = False,
    smoke: Smoke = False,
    store: StoreOption = DEFAULT_STORE,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="run folder; an existing one is resumed")] = None,
    inconclusive: Inconclusive = "warn",
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="also write the verdict as JUnit XML")] = None,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Do a suite: train, probe, compare, report. Running it again resumes; finished cells are never done twice."""
    from stabbench.execution.ci import check_writable, write_ci_files
    from stabbench.execution.terminal import print_verdict, warn_undecided
    from stabbench.execution.terminal_audit import print_audit
    from stabbench.planning.selection import seconds_of
    from stabbench.runner import RunOptions
    from stabbench.runner import run as run_suite

    if executor != "local":
        raise ConfigurationError([f"--executor '{executor}': only 'local' is available in this version"])
    if junit is not None:
        check_writable("--junit", junit)
    options = RunOptions(
        suite=suite,
        overrides=_overrides(set_, seeds),
        select=select,
        jobs=jobs,
        max_seconds=seconds_of(max_time) if max_time else None,
        offline=offline,
        fresh=fresh,
        smoke=smoke,
        store=store,
        out=out,
        inconclusive=checked_inconclusive(inconclusive),
    )
    outcome = run_suite(options)
    warn_undecided(outcome.verdict["gate"], inconclusive)
    write_ci_files(outcome.folder, outcome.verdict, junit)
    if as_json:
        _print_json(outcome.verdict)
    elif "audit" in outcome.verdict:
        print_audit(outcome.verdict, _again())
    else:
        print_verdict(outcome.verdict, smoke=smoke, command=_again(), looks=outcome.looks)
    raise typer.Exit(outcome.exit_code)


@app.command()
def plan(
    suite: SuiteArgument = "quick",
    seeds: Seeds = None,
    select: Select = None,
    jobs: Jobs = None,
    smoke: Smoke = False,
    fresh: Fresh = False,
    store: StoreOption = DEFAULT_STORE,
    explain: Annotated[bool, typer.Option(help="print the resolved suite")] = False,
    set_: Set = None,
    as_json: Json = False,
) -> None:
    """Say what `run` would do: cells, what is cached, time, disk, and what can be found out. Runs nothing."""
    from stabbench.execution.terminal import print_plan, print_warnings
    from stabbench.planning.plan import describe
    from stabbench.runner import RunOptions, plan_for

    options = RunOptions(
        suite=suite, overrides=_overrides(set_, seeds), select=select, smoke=smoke, fresh=fresh, store=store
    )
    made, where = plan_for(options)
    print_warnings(made.loaded)
    content = describe(made, where, jobs or made.loaded.suite.budget.jobs)
    if explain:
        content["suite_resolved"] = made.loaded.resolved
    if as_json:
        _print_json(content)
    else:
        print_plan(content, suite)


@app.command()
def validate(suite: SuiteArgument = "quick", set_: Set = None, as_json: Json = False) -> None:
    """Check a suite and its data files: every error at once, each with its place. Runs nothing, loads no model."""
    from stabbench.execution.terminal import print_warnings
    from stabbench.planning.cells import cells
    from stabbench.runner import check_data
    from stabbench.suite.load import load_suite

    loaded = load_suite(suite, tuple(set_ or ()))
    data = check_data(loaded)
    planned = len(cells(loaded))
    print_warnings(loaded)
    if as_json:
        warnings = [str(problem) for problem in loaded.warnings]
        _print_json({"schema": 1, "suite": loaded.suite.name, "cells": planned, "data": data, "warnings": warnings})
    else:
        print(f"{loaded.path}: valid, {planned} cells; {data}")


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SUITE | audit | builtin:NAME]…")] = None,
    offline: Offline = False,
) -> None:
    """Fetch the models and data that a suite needs, or an audit at its defaults, so that it can run offline."""
    from stabbench.assets.fetch import fetch as fetch_asset
    from stabbench.assets.needs import fetch_all, fetch_for_audit
    from stabbench.suite.load import load_suite

    for name in names or ["quick"]:
        if name == "audit" and not Path(name).is_file():
            fetched = fetch_for_audit(offline=offline)
            for asset, path in fetched.items():
                print(f"{asset}  {path}")
            print(
                "audit needs nothing more; the checkpoint and the texts are yours" if fetched else "audit needs nothing"
            )
            continue
        if name.startswith("builtin:"):
            print(f"{name}  {fetch_asset(name, offline=offline)}")
        else:
            for asset, path in fetch_all(load_suite(name).suite, offline=offline).items():
                print(f"{asset}  {path}")


@app.command("list")
def list_(
    kind: Annotated[str | None, typer.Argument(metavar="[KIND]", help="stabilizers, probes, …, suites")] = None,
    as_json: Json = False,
) -> None:
    """List plug-ins and shipped suites, each with its first line."""
    from stabbench.execution.catalogue import catalogue

    found = catalogue(kind)
    if as_json:
        _print_json({"schema": 1, **found})
        return
    for name, entries in found.items():
        print(name)
        width = max((len(entry["name"]) for entry in entries), default=0)
        for entry in entries:
            print(f"  {entry['name']:<{width}}  {entry['summary']}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a plug-in's name, or kind/name")],
    as_json: Json = False,
) -> None:
    """Show a plug-in's card: equation, options with defaults and bounds, cost, source, pitfalls."""
    from stabbench.execution.catalogue import card_text, cards_named

    cards = cards_named(name)
    if as_json:
        _print_json({"schema": 1, "cards": [{"kind": kind, **vars(card)} for kind, card in cards]})
    else:
        print("\n\n".join(card_text(kind, card) for kind, card in cards))


@app.command()
def schema() -> None:
    """Print the JSON Schema of suite files, for editors."""
    from stabbench.suite.load import json_schema

    _print_json(json_schema())


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine can do: versions, instruction set, precision, assets, writable folders."""
    from stabbench.execution.examination import examine, findings_text

    found = examine()
    if as_json:
        _print_json(found)
    else:
        print(findings_text(found))
    raise typer.Exit(0 if found["ready"] else 3)


@app.command()
def report(
    run_: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder or name")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="HTML file; default: in the run's folder")
    ] = None,
) -> None:
    """Render a run's report again from the store; needs no model and no torch."""
    from stabbench.execution.conclude import relative, write_report
    from stabbench.store.run_folder import RunFolder

    print(relative(write_report(RunFolder.find(run_), output)))


cli_audit.register(app)
cli_diagnosis.register(app)


def _overrides(given: list[str] | None, seeds: int | None) -> tuple[str, ...]:
    return (*(given or ()), *([] if seeds is None else [f"seeds={seeds}"]))


def _print_json(content: Any) -> None:
    from stabbench.execution.terminal import print_json

    print_json(content)


def _again() -> str:
    return " ".join(["stabbench", *sys.argv[1:]])


def main() -> None:
    """Run the command line; every way of ending has its documented exit code."""
    try:
        app()
    except ConfigurationError as error:
        from stabbench.execution.ci import announce_problems

        announce_problems(error.problems)
        print(error, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} error{'s' if count != 1 else ''}. {error.note}", file=sys.stderr)
        sys.exit(error.exit_code)
    except StabbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to resume", file=sys.stderr)
        sys.exit(130)
    # The last resort: whatever was not foreseen ends with the documented code and everything needed to report it.
    except Exception as error:
        traceback.print_exc()
        print(
            f"internal error: {error!r}. This is a bug in stabbench: please report it with the lines above.",
            file=sys.stderr,
        )
        sys.exit(70)
