"""What the terminal shows of an audit: one table of what was found, collapse said first, then claims, then where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stabbench.claims.text import claim_line
from stabbench.execution.terminal import COLOURS, GLYPHS

SCOPE = "about these checkpoints on these texts; one training each says nothing about how they were trained"


def print_audit(verdict: Mapping[str, Any], command: str) -> None:
    """Print an audit's verdict.

    Args:
        verdict: the verdict document, with its ``audit`` part.
        command: what was typed.
    """
    console = Console(highlight=False, soft_wrap=True)
    found = verdict["audit"]
    for name, checkpoint in found["checkpoints"].items():
        console.print(f"{name}: {checkpoint['source']}", markup=False)
        for problem in (_collapse(name, checkpoint), checkpoint["order"]):
            if problem:
                console.print(f"! {problem}", style="bold red", markup=False)
    if found["found"]:
        console.print(_table(found["found"], found["checkpoints"]))
    claims = verdict["claims"]
    if claims:
        console.print(f"other vs model, {SCOPE}:", style="bold", markup=False)
    for claim in claims:
        if claim["primary"]:
            console.print(
                f"  {GLYPHS[claim['verdict']]} {claim_line(claim)}", style=COLOURS.get(claim["verdict"]), markup=False
            )
    if others := sum(not claim["primary"] for claim in claims):
        console.print(f"  and {others} secondary claims, unadjusted, in the report")
    cells = verdict["cells"]
    counted = ", ".join(f"{cells[name]} {name}" for name in ("cached", "done", "errors", "pending"))
    console.print(f"cells: {cells['planned']} planned = {counted}")
    if verdict["status"] != "complete":
        console.print(f"the audit is {verdict['status']}; the same command goes on: {command}", markup=False)
    console.print(f"report: {verdict['report']}", markup=False)
    console.print(f"next: open the report, or stabbench run {verdict['run']}/audit.yaml", markup=False)


def _collapse(name: str, checkpoint: Mapping[str, Any]) -> str | None:
    if not checkpoint["collapsed"]:
        return None
    return f"{name} has collapsed: {checkpoint['collapsed']}. What it keeps under noise and attacks is no robustness."


def _table(found: Sequence[Mapping[str, Any]], checkpoints: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What was found", title_justify="left", title_style="bold")
    table.add_column("")
    for variant, checkpoint in checkpoints.items():
        table.add_column(Text(f"{variant} (collapsed)" if checkpoint["collapsed"] else variant), justify="right")
    table.add_column("n", justify="right")
    group = ""
    for entry in found:
        if entry["group"] != group and group:
            table.add_section()
        group = entry["group"]
        values = [_value(entry["values"].get(variant)) for variant in checkpoints]
        table.add_row(Text(entry["what"]), *values, _count(entry["values"].values()))
    return table


def _value(given: Mapping[str, Any] | None) -> Text:
    if given is None or given["value"] is None:
        return Text("–")
    value = float(given["value"])
    text = f"{value:.3f}" if math.isfinite(value) and abs(value) < 1000 else f"{value:.4g}"
    # Of a collapsed checkpoint every number is shown, and none as good news.
    return Text(text, style="dim" if given["status"] == "failed-run" else "")


def _count(values: Any) -> str:
    counts = dict.fromkeys(_of(value) for value in values)
    return " / ".join(counts)


def _of(value: Mapping[str, Any]) -> str:
    used, planned = value["n_used"], value["n_planned"]
    if used is None:
        return "–"
    return f"{used}" if planned in (None, used) else f"{used} of {planned}"
