"""The verdict document: ``verdict.json`` and what ``--json`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from stabbench.claims.claim import Claim
from stabbench.claims.gate import GateItem
from stabbench.records import finite

RunStatus = Literal["complete", "incomplete", "interrupted"]


def verdict_document(
    *,
    suite: str,
    run: str,
    status: RunStatus,
    cells: Mapping[str, int],
    claims: Sequence[Claim],
    failed_runs: Mapping[str, Sequence[int]],
    environment: Mapping[str, Any],
    report: str | None,
    gate: Sequence[GateItem] = (),
    audit: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the document of DESIGN §10, fit for strict JSON, primary claims first.

    Args:
        suite: the suite's name.
        run: the run folder, relative to the current folder when below it.
        status: whether every planned cell is there.
        cells: planned, cached, done, errors, pending; planned is the sum of the others.
        claims: all claims.
        failed_runs: variant → (failed, finished runs).
        environment: machine, versions, commit.
        report: path of the report; None where none was written.
        gate: the gate's rules, decided.
        audit: of a run of finished checkpoints, which they are and what was found; the key is there only then.
    """
    assert cells["planned"] == sum(cells[name] for name in ("cached", "done", "errors", "pending")), dict(cells)
    document = {
        "schema": 1,
        "suite": suite,
        "run": run,
        "status": status,
        "cells": {name: cells[name] for name in ("planned", "cached", "done", "errors", "pending")},
        "failed_runs": {variant: list(counted) for variant, counted in failed_runs.items()},
        "claims": [claim.as_dict() for claim in sorted(claims, key=lambda claim: not claim.primary)],
        "gate": [entry.as_dict() for entry in gate],
        "environment": environment,
        "report": report,
    }
    if audit is not None:
        document["audit"] = audit
    return {name: finite(value) for name, value in document.items()}
