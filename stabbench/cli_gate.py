"""The commands that hold one run against another: `compare`, `gate`, `accept`. `cli` takes them in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from stabbench.errors import ConfigurationError, unknown_name

if TYPE_CHECKING:
    from stabbench.claims.gate import Inconclusive as Choice

app = typer.Typer()

Run = Annotated[str, typer.Argument(metavar="RUN", help="a run's folder or name")]
Json = Annotated[bool, typer.Option("--json", help="print exactly one JSON document")]
AllowDrift = Annotated[
    bool, typer.Option("--allow-drift", help="go on where the runs differ in what must be equal, and say so")
]
Inconclusive = Annotated[
    str, typer.Option("--inconclusive", metavar="fail|warn|pass", help="what an undecided gate rule does")
]


@app.command()
def compare(
    reference: Annotated[str, typer.Argument(metavar="A", help="the reference: a run, or baselines/SUITE.json")],
    candidate: Annotated[str, typer.Argument(metavar="B", help="the run that is judged")],
    allow_drift: AllowDrift = False,
    as_json: Json = False,
) -> None:
    """Compare run B with run A: the same group in both, paired by seed. Refuses runs that are not comparable (4)."""
    from stabbench.execution.comparison import compare_with, find_reference
    from stabbench.execution.terminal import print_comparison, print_json
    from stabbench.store.run_folder import RunFolder

    found = compare_with(find_reference(reference), RunFolder.find(candidate), allow_drift=allow_drift)
    if as_json:
        print_json(found.as_dict())
    else:
        print_comparison(found, (reference, candidate))


@app.command()
def gate(
    run: Run,
    against: Annotated[
        str | None, typer.Option(metavar="BASELINE", help="a run, or baselines/SUITE.json; default: within the run")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(metavar="FILE", help="rules; default: the suite's, else its primary claims' margins")
    ] = None,
    inconclusive: Inconclusive = "warn",
    allow_drift: AllowDrift = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="also write the verdict as JUnit XML")] = None,
    as_json: Json = False,
) -> None:
    """Decide a run's gate rules, record them in its verdict, and end with 0, 1 failed, 3, 4 or 5."""
    from stabbench.execution.ci import check_writable, write_ci_files
    from stabbench.execution.comparison import find_reference, gate_run
    from stabbench.execution.terminal import print_gated, print_json, warn_undecided
    from stabbench.store.run_folder import RunFolder

    if junit is not None:
        check_writable("--junit", junit)
    folder = RunFolder.find(run)
    found = gate_run(
        folder,
        against=None if against is None else find_reference(against),
        rules=rules,
        inconclusive=checked_inconclusive(inconclusive),
        allow_drift=allow_drift,
    )
    warn_undecided(found.document["gate"], inconclusive)
    write_ci_files(folder, found.document, junit)
    if as_json:
        print_json(found.document)
    else:
        print_gated(found.document)
    raise typer.Exit(found.exit_code)


@app.command()
def accept(
    run: Run,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why, for those who read the file later")],
) -> None:
    """Accept a complete run as its suite's baseline: write baselines/SUITE.json, to be committed."""
    from stabbench.claims.gate_words import gate_sentence
    from stabbench.execution.comparison import accept_run
    from stabbench.store.run_folder import RunFolder

    found = RunFolder.find(run)
    path, replaced = accept_run(found, reason)
    gate_items = found.verdict["gate"]
    said = f"; its gate: {gate_sentence(gate_items)}" if gate_items else ""
    print(f"{'replaced' if replaced else 'wrote'} {path} ({path.stat().st_size / 1000:.0f} kB): run {run}{said}")
    print(f"next: git add {path}, then stabbench gate RUN --against {path}")


def checked_inconclusive(given: str) -> Choice:
    """Return the value of ``--inconclusive``.

    Raises:
        ConfigurationError: it is none of the three.
    """
    if given not in ("fail", "warn", "pass"):
        raise ConfigurationError([f"--inconclusive: {unknown_name('choice', given, ('fail', 'warn', 'pass'))}"])
    return cast("Choice", given)
