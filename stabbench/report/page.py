"""A run as a page: everything the template prints, computed before it prints anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stabbench.claims.gate_words import gate_sentence
from stabbench.claims.text import sentence
from stabbench.records import finite
from stabbench.report.audit import facts as audit_facts
from stabbench.report.audit import found as found_section
from stabbench.report.audit import warnings as audit_warnings
from stabbench.report.behavior import behavior, replay, swaps
from stabbench.report.claims_table import claim_rows
from stabbench.report.data import CellMatrix, Page
from stabbench.report.detectable import undecided
from stabbench.report.diagnosis import diagnosis
from stabbench.report.efficiency import efficiency
from stabbench.report.gate_table import gate_rows
from stabbench.report.robustness import attacks, noise
from stabbench.report.sections import gradients, training
from stabbench.report.source import Source
from stabbench.report.visible import visible
from stabbench.store.run_folder import RunFolder

STATES = {"cached": "●", "done": "●", "error": "✗", "pending": "○"}
MACHINE_BYTES = 200_000
DRIFT = 600


def build(run: RunFolder) -> Page:
    """Return the page of a run: a pure function of its folder and store."""
    source = Source(run)
    verdict = run.verdict
    primary, secondary = claim_rows(verdict)
    audit = "audit" in verdict
    trained = [] if audit else [training(source, verdict), gradients(source), diagnosis(source)]
    from_files = [behavior(source), replay(source), swaps(source)]
    first = [found_section(verdict)] if audit else []
    found = [*first, *trained, noise(source), attacks(source), *from_files, efficiency(source)]
    sections = [section for section in found if section is not None]
    smoke = bool(run.environment.get("smoke"))
    return Page(
        title=f"stabbench: {verdict['suite']}",
        subtitle=visible(str(source.suite.get("description") or "")),
        facts=_facts(source, verdict),
        sentence="A smoke run: every stage was tried on a tiny model. This is never a verdict."
        if smoke
        else sentence(verdict),
        primary=primary,
        secondary=secondary,
        warnings=_warnings(source, verdict, smoke),
        sections=sections,
        matrix=_matrix(run.plan, audit),
        errors=_errors(run),
        environment=_environment(run.environment),
        suite_text=(run.path / "suite.resolved.yaml").read_text(encoding="utf-8"),
        commands=_commands(run),
        machine=_machine(verdict),
        watermark="SMOKE RUN" if smoke else "",
        gate=gate_rows(verdict),
        gate_sentence=gate_sentence(verdict["gate"]),
        kind="audit" if audit else "study",
        contents=[(section.id, section.title) for section in sections],
    )


def _facts(source: Source, verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    environment = source.run.environment
    cells = verdict["cells"]
    done = cells["cached"] + cells["done"]
    git = environment.get("git")
    commit = f"{git['commit'][:10]}{' with uncommitted changes' if git['dirty'] else ''}" if git else "not a checkout"
    data = source.suite["data"]
    origin = data.get("source") or f"files below {data.get('root') or 'the suite'}"
    cores = f"{environment['cores']} cores, {'+'.join(environment['instruction_set'][-2:])}"
    about = [
        ("cells", f"{done} of {cells['planned']} finished, {cells['errors']} errors, {cells['pending']} pending"),
        ("started", str(environment.get("started", "–"))),
        ("machine", f"{environment['processor']}, {cores}"),
        ("code", f"stabbench {environment['stabbench']}, commit {commit}"),
    ]
    if "audit" in verdict:
        return [*audit_facts(source, verdict), *about]
    return [
        ("compared", f"{', '.join(source.variants[1:]) or 'nothing'} against {source.variants[0]}"),
        ("model and data", f"{visible(str(source.suite['model']['name']))} on {visible(str(origin))}"),
        ("seeds", f"{len(source.seeds)}, paired{_looks_text(source)}"),
        *about,
    ]


def _looks_text(source: Source) -> str:
    """Return how the looks of adaptive seeds ended; empty where the number of seeds was fixed."""
    looks = source.run.plan.get("looks")
    return f"; {visible(looks['text'])}" if looks else ""


def _warnings(source: Source, verdict: Mapping[str, Any], smoke: bool) -> list[str]:
    """Say what could be wrong with this page, most serious first."""
    cells, found = verdict["cells"], []
    if verdict["status"] != "complete":
        found.append(
            f"The run is {verdict['status']}: {cells['errors']} cells ended in an error, "
            f"{cells['pending']} are pending."
        )
    found += [f"Unmatched: {visible(e['message'])}" for e in source.run.events if e["event"] == "unmatched"]
    drift = dict.fromkeys(e["message"] for e in source.run.events if e["event"] == "drift")
    found += [f"Merged from shards that were not made alike: {visible(text, DRIFT)}" for text in drift]
    audit = "audit" in verdict
    found += audit_warnings(verdict) if audit else []
    if len(source.seeds) < 6 and not smoke and not audit:
        floor = 2 / 2 ** len(source.seeds)
        found.append(f"Only {len(source.seeds)} seeds: the exact paired test cannot go below p = {floor:.2g}.")
    for variant in source.variants:
        if failed := source.failed(variant):
            found.append(
                f"{variant}: {len(failed)} failed run(s), seed {', '.join(failed)}. Claims on "
                "robustness and compression use only pairs in which neither run failed."
            )
    found += undecided(verdict)
    primary = sum(claim["primary"] for claim in verdict["claims"])
    if primary:
        found.append(
            f"{primary} primary claims share a 5 % error rate (Holm). The "
            f"{len(verdict['claims']) - primary} secondary claims are not adjusted: "
            "about one in twenty looks decided by chance."
        )
    if looks := source.run.plan.get("looks"):
        *earlier, last = map(str, looks["counts"])
        found.append(
            f"The number of seeds was chosen by looking at {visible(looks['until'])} after {', '.join(earlier)} and "
            f"{last} seeds until it was decided. Levels and intervals of the primary claims allow for that (alpha "
            "spending), those of secondary claims do not."
        )
    refused = [
        claim
        for claim in verdict["claims"]
        if claim["metric"] == "latency.ratio" and claim["verdict"] == "not comparable"
    ]
    if refused:
        found.append(f"{len(refused)} latency claims were refused: {visible(refused[0]['reason'])}")
    if not audit:
        found.append(
            "Claims are about training seeds on this test set and this machine, not about other data or other hardware."
        )
    return found


def _matrix(plan: Mapping[str, Any], audit: bool) -> CellMatrix:
    columns = list(dict.fromkeys(_column(cell) for cell in plan["cells"] if cell["kind"] != "panel"))
    rows: dict[str, dict[str, str]] = {}
    for cell in plan["cells"]:
        if cell["kind"] != "panel":
            name = cell["variant"] if audit else f"{cell['variant']}, seed {cell['seed']}"
            rows.setdefault(name, {})[_column(cell)] = cell["state"]
    return CellMatrix(
        columns, [(name, [states.get(column, "") for column in columns]) for name, states in rows.items()]
    )


def _column(cell: Mapping[str, Any]) -> str:
    return str(cell["probe"]) if cell["compression"] == "dense" else f"{cell['probe']} ({cell['compression']})"


def _errors(run: RunFolder) -> list[tuple[str, str, str]]:
    """Return (cell, message, traceback) of the cells that ended in an error and were not mended since."""
    return [
        (name, visible(error["message"]), visible(error["traceback"][-3000:], 3000))
        for name, error in run.errors.items()
    ]


def _environment(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    packages = ", ".join(f"{name} {found}" for name, found in environment["packages"].items() if found)
    memory = environment.get("memory_bytes")
    return [
        ("Python", f"{environment['python']} on {environment['platform']}"),
        (
            "Processor",
            f"{environment['processor']}, {environment['cores']} cores; {' '.join(environment['instruction_set'])}",
        ),
        ("Memory", "–" if memory is None else f"{memory / 2**30:.0f} GiB"),
        ("Device", str(environment.get("device"))),
        ("Packages", packages),
    ]


def _commands(run: RunFolder) -> list[str]:
    command = " ".join(run.environment.get("command") or ["run", run.verdict["suite"]])
    return [f"stabbench {visible(command)}", f"stabbench report {run.verdict['run']}"]


def _machine(verdict: Mapping[str, Any]) -> str:
    """Return the verdict as JSON that is safe inside a script element; primary claims only where it is too large."""
    text = _script_json(verdict)
    if len(text) > MACHINE_BYTES:
        text = _script_json(
            {**verdict, "claims": [claim for claim in verdict["claims"] if claim["primary"]], "cut": True}
        )
    return text


def _script_json(content: Mapping[str, Any]) -> str:
    text = json.dumps(finite(content), ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def style_sheet() -> str:
    """Return the page's style sheet."""
    return (Path(__file__).parent / "templates" / "style.css").read_text(encoding="utf-8")
