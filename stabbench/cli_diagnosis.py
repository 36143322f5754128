"""``stabbench diagnose``: what made runs fail, and a suite that tries the remedy."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stabbench.execution.between_seeds import SeedModels
    from stabbench.store.run_folder import RunFolder


def diagnose(
    run_: Annotated[str, typer.Argument(metavar="RUN", help="a run's folder or name")],
    apply: Annotated[bool, typer.Option("--apply", help="write a suite that tries the first remedy")] = False,
    models: Annotated[bool, typer.Option("--models", help="also compare the trained models of the seeds")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print exactly one JSON document")] = False,
) -> None:
    """Say what made runs fail or waver, with evidence from their traces, and what to try. Only --models loads any."""
    from stabbench.diagnosis.apply import apply as write_suites
    from stabbench.diagnosis.diagnose import diagnose as diagnosis_of
    from stabbench.diagnosis.text import diagnosis_text
    from stabbench.records import finite
    from stabbench.store.run_folder import RunFolder

    folder = RunFolder.find(run_)
    found = diagnosis_of(folder)
    written = write_suites(folder, found, Path()) if apply else []
    compared = _compared(folder) if models else None
    if as_json:
        content = {**found.as_dict(), "applied": [item.as_dict() for item in written]}
        content |= {} if compared is None else {"models": [arm.as_dict() for arm in compared]}
        sys.stdout.write(json.dumps(finite(content), indent=1, ensure_ascii=False) + "\n")
        return
    print(diagnosis_text(found))
    if compared is not None:
        from stabbench.execution.between_seeds import models_text

        print(models_text(compared))
    for item in written:
        print(f"wrote {item.path}: {item.remedy.text}, against {item.variant} as it was")
        print(f"next: {item.command}")
    if apply and not written:
        print("nothing to apply: no finding has a remedy that a suite can make")
    elif not apply and any(remedy.changes for finding in found.findings for remedy in finding.remedies):
        print(f"next: stabbench diagnose {run_} --apply")


def _compared(folder: RunFolder) -> list[SeedModels]:
    from stabbench.execution.between_seeds import compare_models

    return compare_models(folder)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(diagnose)
