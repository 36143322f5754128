"""The commands on runs that are there already, and the one that begins a suite: `ls`, `export`, `merge`, `init`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from stabbench.errors import ConfigurationError

app = typer.Typer()

Json = Annotated[bool, typer.Option("--json", help="print exactly one JSON document")]
StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="folder of finished cells")]
DEFAULT_STORE = Path(".stabbench/store")


@app.command()
def ls(store: StoreOption = DEFAULT_STORE, as_json: Json = False) -> None:
    """List the runs below runs/, the newest first, and the store: status, cells, failed runs, verdicts."""
    from stabbench.execution.listing import listing_text
    from stabbench.store.run_list import run_summaries, store_size

    runs, size = run_summaries(), store_size(store)
    if as_json:
        _print_json({"schema": 1, "runs": [asdict(run) for run in runs], "store": size})
    else:
        print(listing_text(runs, size))


@app.command()
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder or name")],
    name: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help="junit, markdown, github-benchmark, csv, parquet, pytest-benchmark"
        ),
    ] = "csv",
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="default: the terminal")] = None,
    artifact: Annotated[
        Path | None, typer.Option("--artifact", metavar="DIR", help="write one model of the run there, to deploy")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="whose model; default: the run's only variant")] = None,
    seed: Annotated[str | None, typer.Option(help="which trial; default: the first that did not fail")] = None,
    compression: Annotated[str, typer.Option(metavar="CHAIN", help="as in the suite, or any other")] = "dense",
) -> None:
    """Give a run in the format of another tool: measurements (csv, parquet), claims, latency rounds; or one model."""
    if artifact is not None:
        _export_artifact(run, artifact, variant, seed, compression)
        return
    from stabbench.execution.export import BINARY, write_whole
    from stabbench.execution.export import export as export_run
    from stabbench.store.run_folder import RunFolder

    if output is None and name in BINARY:
        raise ConfigurationError(
            [f"--format {name} is not text; name a file with -o FILE"], note="Nothing was written."
        )
    content = export_run(RunFolder.find(run), name)
    if output is None:
        sys.stdout.write(content.decode())
    else:
        write_whole(output, content)
        print(output)


def _export_artifact(run: str, folder: Path, variant: str | None, seed: str | None, compression: str) -> None:
    from stabbench.execution.artifact import write_artifact
    from stabbench.store.run_folder import RunFolder

    manifest = write_artifact(RunFolder.find(run), folder, variant, seed, compression)
    size, subject = manifest["bytes"] / 1e6, f"{manifest['variant']}, seed {manifest['seed']}"
    print(f"{folder}: {subject}, {manifest['compression']}, {size:.1f} MB; see manifest.json")


@app.command()
def merge(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="runs of one suite, made with different --select")],
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="folder of the merged run")] = None,
    store: StoreOption = DEFAULT_STORE,
    more: Annotated[
        list[Path] | None, typer.Option("--from", metavar="DIR", help="a further store to take cells from")
    ] = None,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="let shards differ in libraries, precision or device, and say so")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make one run of the shards of a suite: cells copied into one store, verdict and report made anew."""
    from stabbench.execution.ci import write_ci_files
    from stabbench.execution.merge import merge as merge_runs
    from stabbench.execution.terminal import print_verdict
    from stabbench.store.cells import Store
    from stabbench.store.run_folder import RunFolder

    found = [RunFolder.find(run) for run in runs]
    outcome = merge_runs(found, Store(store), out, more_stores=tuple(more or ()), allow_drift=allow_drift)
    write_ci_files(outcome.folder, outcome.verdict)
    if as_json:
        _print_json(outcome.verdict)
    else:
        print_verdict(outcome.verdict, smoke=False, command=" ".join(["stabbench", *sys.argv[1:]]))
    raise typer.Exit(outcome.exit_code)


@app.command()
def init(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="the suite's name; default: the template's")
    ] = None,
    template: Annotated[str, typer.Option(metavar="ci|audit|compare", help="what the suite is for")] = "compare",
) -> None:
    """Write a commented suite to begin with, here; for ci also a GitHub workflow. Overwrites nothing."""
    from stabbench.execution.starting import begin

    written = begin(template, name)
    for path in written:
        print(path)
    print(f"next: stabbench validate {written[0]}, then stabbench run {written[0]}")


def _print_json(content: Any) -> None:
    from stabbench.records import finite

    sys.stdout.write(json.dumps(finite(content), indent=1, ensure_ascii=False) + "\n")
