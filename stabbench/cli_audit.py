"""``stabbench audit``: a finished checkpoint, or two, on a file of labelled texts. `cli` takes it in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

CLASSES = "label of each output of MODEL, in their order, where its config does not tell"


def audit(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="folder or hub id of a fine-tuned classifier")],
    data: Annotated[
        Path, typer.Option("--data", metavar="FILE", help="csv, tsv, jsonl or parquet with labelled texts")
    ],
    text: Annotated[
        str | None, typer.Option(metavar="COL", help="column of the text; default: told by its name")
    ] = None,
    text_pair: Annotated[str | None, typer.Option(metavar="COL", help="column of the second text of a pair")] = None,
    label: Annotated[str | None, typer.Option(metavar="COL", help="column of the label")] = None,
    vs: Annotated[
        str | None, typer.Option(metavar="MODEL2", help="a second checkpoint, compared on the same texts")
    ] = None,
    classes: Annotated[str | None, typer.Option(metavar="A,B,…", help=CLASSES)] = None,
    vs_classes: Annotated[str | None, typer.Option(metavar="A,B,…", help="the same of MODEL2")] = None,
    negative: Annotated[str | None, typer.Option(metavar="LABEL", help="label that means negative")] = None,
    positive: Annotated[str | None, typer.Option(metavar="LABEL", help="label that means positive")] = None,
    probes: Annotated[
        str | None, typer.Option(metavar="P,Q,…", help="probes by name, in place of the default ones")
    ] = None,
    behavior: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="behavioural tests (JSONL)")] = None,
    replay: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="adversarial texts to replay (JSONL)")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="processes side by side")] = None,
    max_time: Annotated[str | None, typer.Option(metavar="10m", help="start no cell after so long")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="refuse every non-local connection")] = False,
    store: Annotated[Path, typer.Option(metavar="DIR", help="folder of finished cells")] = Path(".stabbench/store"),
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="run folder; an existing one is resumed")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print exactly one JSON document")] = False,
) -> None:
    """Measure a finished checkpoint: answers, noise, attacks, behaviour. No YAML, no training; prints its suite."""
    import os

    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    from stabbench.auditing.audit import audit as run_audit
    from stabbench.auditing.request import AuditRequest
    from stabbench.execution.terminal import print_json
    from stabbench.execution.terminal_audit import print_audit
    from stabbench.planning.selection import seconds_of

    outcome = run_audit(
        AuditRequest(
            model=model,
            data=data,
            text=text,
            text_pair=text_pair,
            label=label,
            vs=vs,
            classes=_names(classes),
            vs_classes=_names(vs_classes),
            negative=_names(negative) or (),
            positive=_names(positive) or (),
            probes=_names(probes),
            behavior=tuple(behavior or ()),
            replay=tuple(replay or ()),
            jobs=jobs,
            max_seconds=seconds_of(max_time) if max_time else None,
            offline=offline,
            store=store,
            out=out,
        )
    )
    if as_json:
        print_json(outcome.verdict)
    else:
        print_audit(outcome.verdict, " ".join(["stabbench", *sys.argv[1:]]))
    raise typer.Exit(outcome.exit_code)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(audit)


def _names(given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(name.strip() for name in given.split(",") if name.strip())
