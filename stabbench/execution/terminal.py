"""What the terminal shows of a plan and of a verdict. Data on standard output, warnings on standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from stabbench.claims.text import claim_line, sentence
from stabbench.suite.load import LoadedSuite

GLYPHS = {
    "improved": "✓",
    "regressed": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "not comparable": "–",
    "incomplete": "…",
}
COLOURS = {"improved": "green", "regressed": "red", "equivalent": "cyan"}


def print_warnings(loaded: LoadedSuite) -> None:
    """Print the suite's warnings to standard error."""
    for problem in loaded.warnings:
        print(f"warning: {problem}", file=sys.stderr)


def print_plan(content: Mapping[str, Any], suite: str) -> None:
    """Print a plan: formula, cache, time with its basis, disk, and what can be found out."""
    print(content["formula"])
    print(f"{content['cached']} cached, {content['to_run']} to run")
    looks = content["looks"]
    if looks is not None:
        print(f"looks     {_looks_text(looks)}")
    about = "at most about" if looks else "about"
    print(
        f"time      {about} {_duration(content['seconds'])} with --jobs {content['jobs']} ({content['seconds_basis']})"
    )
    print(f"disk      {content['disk_bytes'] / 1e6:.0f} MB of trained weights")
    print(f"precision {', '.join(content['precision'])}")
    effect = content["detectable_effect_sd"]
    if effect is not None:
        print(f"effect    {content['seeds']} seeds see a paired difference of {effect:.1f} SD with 80 % power")
    print(f"verdicts  {content['verdicts']}")
    print(f"next: stabbench run {suite}")


def print_verdict(verdict: Mapping[str, Any], *, smoke: bool, command: str, looks: str = "") -> None:
    """Print the verdict: the sentence, the primary claims, what is missing, where the report is, what to do next.

    Args:
        verdict: the verdict document.
        smoke: whether it was a smoke run.
        command: what was typed.
        looks: with adaptive seeds how the looks ended.
    """
    console = Console(highlight=False, soft_wrap=True)
    if smoke:
        console.print("smoke run: every stage was tried on a tiny model; this is never a verdict", style="bold")
    else:
        console.print(sentence(verdict), style="bold", markup=False)
        for claim in verdict["claims"]:
            if claim["primary"]:
                style = COLOURS.get(claim["verdict"])
                console.print(f"  {GLYPHS[claim['verdict']]} {claim_line(claim)}", style=style, markup=False)
        others = sum(not claim["primary"] for claim in verdict["claims"])
        console.print(f"  and {others} secondary claims, unadjusted, in the report")
    if looks:
        console.print(f"seeds: {looks}", markup=False)
    cells = verdict["cells"]
    counted = ", ".join(f"{cells[name]} {name}" for name in ("cached", "done", "errors", "pending"))
    console.print(f"cells: {cells['planned']} planned = {counted}")
    if verdict["status"] != "complete":
        console.print(
            f"the run is {verdict['status']}; the same command goes on where it stopped: {command}", markup=False
        )
    console.print(f"report: {verdict['report']}", markup=False)
    console.print(f"next: open the report, or stabbench report {verdict['run']}", markup=False)


def _looks_text(looks: Mapping[str, Any]) -> str:
    """Say when it is looked, and how many cells that will need at most and probably."""
    if looks["stopped"]:
        return str(looks["stopped"])
    *earlier, last = looks["seeds"]
    expected = " and ".join(
        f"{cells} {'without an effect' if effect == '0' else f'at one of {effect} SD'}"
        for effect, cells in looks["expected_cells"].items()
    )
    return (
        f"after {', '.join(map(str, earlier))} and {last} seeds, until {looks['until']} is decided or hardly can be: "
        f"at most {looks['most_cells']} cells, expected {expected}"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
