"""The first section of an audit's page: what was found about each checkpoint, and what that may be read as."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stabbench.report.data import Cell, Section, Table, text_cell
from stabbench.report.numbers import UNKNOWN, fixed, significant
from stabbench.report.source import Source
from stabbench.report.visible import visible


def found(verdict: Mapping[str, Any]) -> Section:
    """Return the summary table of an audit's verdict."""
    audit = verdict["audit"]
    checkpoints = audit["checkpoints"]
    rows = [
        [
            text_cell(visible(entry["what"])),
            *(_cell(entry["values"].get(name)) for name in checkpoints),
            Cell(" / ".join(dict.fromkeys(_count(value) for value in entry["values"].values()))),
        ]
        for entry in audit["found"]
    ]
    head = ["", *(f"{name} (collapsed)" if told["collapsed"] else name for name, told in checkpoints.items()), "n"]
    note = (
        "n: texts used, of those planned where they are fewer. Commonest answer: share of the class answered "
        "most often, 1 for a collapsed model, which no noise and no attack can move. Attack success: of the texts "
        "answered rightly, the share led astray."
    )
    lead = "Measured as the checkpoints are; nothing was trained."
    tables = [Table("What was found", head, rows, note), _outputs(checkpoints)]
    return Section("found", "What was found", lead, (), tables)


def _outputs(checkpoints: Mapping[str, Any]) -> Table:
    rows = [
        [
            text_cell(name),
            Cell(visible(str(told["source"]))),
            Cell(visible(", ".join(told["outputs"]))),
            Cell(str(told["max_length"] or UNKNOWN), told["max_length"]),
        ]
        for name, told in checkpoints.items()
    ]
    note = "Outputs: the data's label that each output of the checkpoint stands for, in their order."
    return Table("Checkpoints", ["checkpoint", "from", "outputs", "tokens at most"], rows, note)


def facts(source: Source, verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what stands at the head of the page in place of variants and seeds."""
    checkpoints = verdict["audit"]["checkpoints"]
    told = [(name, visible(str(checkpoint["source"]))) for name, checkpoint in checkpoints.items()]
    test = source.suite["data"]["test"]
    origin = test["path"] if isinstance(test, Mapping) else f"{test} texts of {source.suite['data'].get('source')}"
    return [*told, ("data", visible(str(origin))), ("unit", "the text: one checkpoint each, no seeds")]


def warnings(verdict: Mapping[str, Any]) -> list[str]:
    """Say what could be wrong with an audit: collapse and the order of labels first, then what it is about."""
    said = []
    for name, told in verdict["audit"]["checkpoints"].items():
        if told["collapsed"]:
            said.append(
                f"{name} has collapsed: {visible(told['collapsed'])}. What it keeps under noise and attacks is no "
                "robustness: it hardly looks at the text."
            )
        if told["order"]:
            said.append(f"{name}: {visible(told['order'])}")
    if verdict["claims"]:
        said.append(
            "Claims are about these two checkpoints on these texts. One training each says nothing about the recipes "
            "they were trained by: another seed of either may differ by more."
        )
    said.append(
        "Texts of the data file decide every number: other texts, another domain and other attacks were not tried."
    )
    return said


def _cell(given: Mapping[str, Any] | None) -> Cell:
    if given is None or given["value"] is None:
        return Cell(UNKNOWN)
    value = float(given["value"])
    return Cell(fixed(value, 3) if abs(value) <= 1 else significant(value), value)


def _count(value: Mapping[str, Any]) -> str:
    used, planned = value["n_used"], value["n_planned"]
    if used is None:
        return UNKNOWN
    return str(used) if planned in (None, used) else f"{used} of {planned}"
