"""``stabbench bench``: time a run's subjects, and hold them against an earlier bench. `cli` takes it in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stabbench.cli_gate import Inconclusive, checked_inconclusive

app = typer.Typer()


@app.command()
def bench(
    run: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder or name")],
    against: Annotated[
        str | None, typer.Option(metavar="BASELINE", help="a bench to hold this one against: a file, or a run")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="also write the bench there, to be committed")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="fresh processes: what intervals are over")] = 12,
    batch: Annotated[list[int] | None, typer.Option(min=1, help="texts per pass; may be repeated")] = None,
    length: Annotated[list[int] | None, typer.Option(min=2, help="tokens per text; may be repeated")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="timed rounds per process; default 20, above batch 1: 4")
    ] = None,
    margin: Annotated[float, typer.Option(min=0.0, help="a slowdown up to this is none")] = 0.05,
    inconclusive: Inconclusive = "warn",
    as_json: Annotated[bool, typer.Option("--json", help="print exactly one JSON document")] = False,
) -> None:
    """Time the subjects of a run with pytest-benchmark; with --against, end with 0, 1 slower, 3 missing, 4 or 5."""
    import sys

    from stabbench.execution.bench import (
        BenchOptions,
        check_machine,
        document_bytes,
        find_baseline,
        judged_text,
        versions_changed,
    )
    from stabbench.execution.bench import bench as measure
    from stabbench.execution.bench_decide import exit_code, judge
    from stabbench.execution.ci import check_writable
    from stabbench.execution.conclude import relative
    from stabbench.execution.export import write_whole
    from stabbench.execution.terminal import print_json
    from stabbench.store.run_folder import RunFolder

    choice = checked_inconclusive(inconclusive)
    folder = RunFolder.find(run)
    # The baseline is read before anything is measured: of a run it may be its newest bench, which this one is not.
    baseline = None if against is None else find_baseline(against)
    if baseline is not None:
        check_machine(baseline[1])
    if save is not None:
        check_writable("--save", save)
    shapes = BenchOptions(processes, tuple(batch or (1,)), tuple(length or (32,)), rounds)
    target, document = measure(folder, shapes)
    if save is not None:
        write_whole(save, document_bytes(document))
    judged = [] if baseline is None else judge(baseline[1], document, margin)
    code = 0 if baseline is None else exit_code(judged, choice)
    if as_json:
        found = {"bench": relative(target), "against": None if baseline is None else relative(baseline[0])}
        print_json({"schema": 1, **found, "benchmarks": [item.as_dict() for item in judged], "exit_code": code})
    else:
        if baseline is not None:
            print(judged_text(judged))
            for note in versions_changed(baseline[1], document):
                print(f"note: {note}", file=sys.stderr)
        print(f"bench: {relative(target)}")
        print(
            f"next: pytest-benchmark compare {relative(target)}, or stabbench bench {run} --against {relative(target)}"
        )
    undecided = sum(item.outcome == "undecided" for item in judged)
    if undecided and choice == "warn":
        print(f"warning: {undecided} undecided; --inconclusive fail makes that exit code 5", file=sys.stderr)
    raise typer.Exit(code)
