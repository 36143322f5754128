"""What the terminal shows of a plan and of a verdict. Data on standard output, warnings on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from stabbench.claims.gate_words import gate_sentence, rule_text
from stabbench.claims.text import claim_line, sentence, summary
from stabbench.execution.comparison import Comparison
from stabbench.records import finite
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
GATE_GLYPHS = {"pass": "✓", "fail": "✗", "undecided": "?", "not comparable": "–", "incomplete": "…", "known": "!"}
GATE_COLOURS = {"pass": "green", "fail": "red", "not comparable": "red", "known": "yellow"}


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
        _print_gate(console, verdict["gate"])
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


def print_gated(document: Mapping[str, Any]) -> None:
    """Print what `gate` decided: watermark, notes, each rule, what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    against = document["against"]
    console.print(f"run {document['run']}" + (f" against run {against}" if against else ""), markup=False)
    _print_differences(console, document["drift"], document["notes"])
    _print_gate(console, document["gate"])
    if document["status"] != "complete":
        console.print(f"the run is {document['status']}")
    console.print(f"report: {document['report']}", markup=False)
    console.print(f"next: stabbench report {document['run']} shows the gate in the report", markup=False)


def print_comparison(comparison: Comparison, names: tuple[str, str]) -> None:
    """Print two runs compared: watermark, notes, the sentence, primary claims, and what else was decided.

    Args:
        comparison: what was found.
        names: the two runs as the user gave them.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"run {comparison.run} against run {comparison.reference_run}", markup=False)
    _print_differences(console, comparison.drift, comparison.notes)
    console.print(summary(comparison.claims, {}), style="bold", markup=False)
    shown = [claim for claim in comparison.claims if claim.primary or claim.verdict in ("improved", "regressed")]
    for claim in shown:
        mark = "" if claim.primary else "secondary, unadjusted: "
        style = COLOURS.get(claim.verdict)
        console.print(f"  {GLYPHS[claim.verdict]} {mark}{claim_line(claim)}", style=style, markup=False)
    console.print(
        f"  and {len(comparison.claims) - len(shown)} secondary claims that are neither improved nor regressed (--json)"
    )
    console.print(f"next: stabbench gate {names[1]} --against {names[0]}", markup=False)


def warn_undecided(items: Sequence[Mapping[str, Any]], inconclusive: str) -> None:
    """Say on standard error that rules are undecided, where that is asked for."""
    count = sum(entry["outcome"] == "undecided" for entry in items)
    if count and inconclusive == "warn":
        said = f"{count} gate rule{'s are' if count > 1 else ' is'} undecided"
        print(f"warning: {said}; --inconclusive fail makes that exit code 5", file=sys.stderr)


def print_json(content: Any) -> None:
    """Print exactly one JSON document."""
    sys.stdout.write(json.dumps(finite(content), indent=1, ensure_ascii=False) + "\n")


def _print_differences(console: Console, drift: Sequence[str], notes: Sequence[str]) -> None:
    for text in drift:
        console.print(f"DRIFT, the numbers below are about different things: {text}", style="bold red", markup=False)
    for text in notes:
        console.print(f"note: {text}", markup=False)


def _print_gate(console: Console, items: Sequence[Mapping[str, Any]]) -> None:
    if not items:
        return
    console.print(f"gate: {gate_sentence(items)}", style="bold")
    for entry in items:
        outcome = entry["outcome"]
        line = f"  {GATE_GLYPHS[outcome]} {outcome}: {rule_text(entry['rule'])}: {entry['reason']}"
        console.print(line, style=GATE_COLOURS.get(outcome), markup=False)


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
