"""The section on what made runs fail or waver: findings per arm, with evidence; absent where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from stabbench.diagnosis.diagnose import Diagnosis, diagnose
from stabbench.diagnosis.finding import Finding
from stabbench.diagnosis.text import evidence_text, grouped
from stabbench.report.data import Section, Table, text_cell
from stabbench.report.source import Source
from stabbench.report.visible import visible


def diagnosis(source: Source) -> Section | None:
    """Return the section, or None where no rule fired and no failed run is left unexplained."""
    found = diagnose(source.run)
    if not found.findings and not found.unexplained:
        return None
    groups = grouped(found.findings)
    ill = [arm.variant for arm in found.arms if found.of(arm.variant)]
    calm = [arm.variant for arm in found.arms if arm.variant not in ill and not arm.failed]
    lead = f"Rules over the traces found something in {', '.join(ill)}. " if ill else ""
    lead += f"Nothing was found in {', '.join(calm)}. " if calm else ""
    return Section(
        "diagnosis",
        "Diagnosis",
        f"{visible(lead)}A finding is a likely cause with its evidence, not a proof: `stabbench diagnose "
        f"{visible(found.run)} --apply` writes a suite that tries the first remedy against the arm as it was.",
        tables=[_table(groups)] if groups else [],
        notes=_notes(found),
    )


def _table(groups: Sequence[Sequence[Finding]]) -> Table:
    rows = []
    for group in groups:
        first = group[0]
        seeds = ", ".join(dict.fromkeys(seed for finding in group for seed in finding.seeds))
        shown = "; ".join(evidence_text(item) for item in first.evidence)
        evidence = shown if len(group) == 1 else f"Seed {', '.join(first.seeds)}: {shown}"
        remedies = "; ".join(f"{i}. {remedy.text}" for i, remedy in enumerate(first.remedies[:3], start=1))
        rows.append(
            [
                text_cell(visible(f"{first.variant}, seed {seeds}")),
                text_cell(f"{first.rule} (rule {first.number}): {visible(first.cause)}"),
                text_cell(visible(evidence, 900)),
                text_cell(visible(remedies, 400)),
            ]
        )
    note = (
        "Where several runs show the same, the evidence is that of the first; `diagnose --json` has it for every run."
    )
    return Table("What was found, by arm and run", ["arm", "likely cause", "evidence", "first remedies"], rows, note)


def _notes(found: Diagnosis) -> list[str]:
    notes = [
        visible(f"{variant}, seed {seed} failed, and no rule explains it: {reason}.", 400)
        for variant, seed, reason in found.unexplained
    ]
    if found.not_judged:
        rules = ", ".join(found.not_judged)
        notes.append(f"Not judged, because the monitors of this run did not record what the rules read: {rules}.")
    return notes
