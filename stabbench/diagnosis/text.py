"""A diagnosis in words, for the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from stabbench.diagnosis.diagnose import Diagnosis
from stabbench.diagnosis.finding import Evidence, Finding, Remedy


def diagnosis_text(diagnosis: Diagnosis) -> str:
    """Return the findings arm by arm: run, seed, cause, evidence, remedies in order."""
    return "\n".join(_lines(diagnosis))


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    yield f"run {diagnosis.run} of suite {diagnosis.suite}"
    for arm in diagnosis.arms:
        found = diagnosis.of(arm.variant)
        failed = arm.failed
        which = f", seed {', '.join(trial.seed for trial in failed)}" if failed else ""
        nothing = "" if found or failed else "; nothing found"
        yield f"{arm.variant}: {len(failed)} of {len(arm.trials)} runs failed{which}{nothing}"
        for group in grouped(found):
            yield from _group(group)
        for variant, seed, reason in diagnosis.unexplained:
            if variant == arm.variant:
                yield f"  seed {seed}: failed, and no rule explains it: {reason}"
    if diagnosis.not_judged:
        lacking = "; ".join(f"{rule} ({', '.join(arrays)})" for rule, arrays in diagnosis.not_judged.items())
        yield f"not judged, because the monitors of this run did not record what the rule reads: {lacking}"


def grouped(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Return the findings of one rule, cause and remedies in one arm together, in the order of the first of each."""
    groups: list[list[Finding]] = []
    for finding in findings:
        known = next((group for group in groups if _alike(group[0], finding)), None)
        if known is None:
            groups.append([finding])
        else:
            known.append(finding)
    return groups


def _alike(one: Finding, other: Finding) -> bool:
    same = ("variant", "rule", "cause", "remedies")
    return all(getattr(one, name) == getattr(other, name) for name in same)


def _group(group: Sequence[Finding]) -> Iterator[str]:
    first = group[0]
    seeds = ", ".join(dict.fromkeys(seed for finding in group for seed in finding.seeds))
    yield f"  seed {seeds}: {first.rule} (rule {first.number}): {first.cause}"
    whose = f"seed {', '.join(first.seeds)}: " if len(group) > 1 else ""
    for item in first.evidence:
        yield f"    seen  {whose}{evidence_text(item)}"
    if others := ", ".join(seed for finding in group[1:] for seed in finding.seeds):
        yield f"    seen  alike in seed {others}: --json has their numbers"
    for number, remedy in enumerate(first.remedies, start=1):
        yield f"    try {number} {remedy_text(remedy)}"


def evidence_text(evidence: Evidence) -> str:
    """Return an observation with its steps and where the report shows it."""
    place = []
    if evidence.steps is not None:
        first, last = evidence.steps
        place.append(f"step {first}" if first == last else f"steps {first} to {last}")
    if evidence.figure is not None:
        place.append(f"figure {evidence.figure}")
    return f"{evidence.text} [{'; '.join(place)}]" if place else evidence.text


def remedy_text(remedy: Remedy) -> str:
    """Return a remedy with the part of a suite that makes it; advice has none."""
    fragment = remedy.fragment()
    return f"{remedy.text}  {json.dumps(fragment)}" if fragment else remedy.text
