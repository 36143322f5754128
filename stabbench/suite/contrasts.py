"""`compare.contrasts` and changes under compression, checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stabbench.errors import Problem, unknown_name
from stabbench.records import DENSE
from stabbench.suite.metrics import CHANGE_FROM, MATCHED, changes_under_compression, probe_of
from stabbench.suite.schema import ContrastClaim, PrimaryClaim, Suite
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath


@dataclass(frozen=True)
class Known:
    """What a claim of a suite can name: variants, metrics its probes make, labels of compressions with ``dense``."""

    variants: Sequence[str]
    metrics: Sequence[str]
    labels: Sequence[str]


def contrast_problems(
    suite: Suite, entry: ContrastClaim, path: KeyPath, known: Known, document: Document
) -> Iterator[Problem]:
    """Yield every mistake in one entry of `compare.contrasts` but those of its coordinates."""
    if entry.metric not in known.metrics:
        message = unknown_name("metric of this suite's probes", entry.metric, known.metrics)
        yield document.problem((*path, "metric"), message)
    well_formed = True
    for side, group in (("reference", entry.reference), ("candidate", entry.candidate)):
        if len(group) != 2:
            well_formed = False
            found = "1 entry" if len(group) == 1 else f"{len(group)} entries"
            message = f"expected [variant, compression], as in [{suite.compare.reference}, {DENSE}]; found {found}"
            yield document.problem((*path, side), message)
            continue
        variant, compression = group
        if variant not in known.variants:
            yield document.problem((*path, side, 0), unknown_name("variant", variant, known.variants))
        if compression not in known.labels:
            message = unknown_name("compression of this suite", compression, known.labels)
            yield document.problem((*path, side, 1), message)
        elif entry.metric in known.metrics and (message := unmeasured(suite, entry.metric, compression)):
            yield document.problem((*path, side, 1), message)
    if not well_formed:
        return
    if entry.reference == entry.candidate:
        message = f"compares [{', '.join(entry.candidate)}] with itself; name another group"
        yield document.problem((*path, "candidate"), message)
    elif entry.metric in MATCHED and entry.reference[1] != entry.candidate[1]:
        message = f"{entry.metric} is relative to the reference at the same compression; name one compression for both"
        yield document.problem((*path, "candidate"), message)
    elif CHANGE_FROM in entry.at:
        yield from change_problems(suite, entry, entry.reference, entry.candidate, path, known, document)


def change_problems(
    suite: Suite,
    entry: ContrastClaim | PrimaryClaim,
    reference: Sequence[str],
    candidate: Sequence[str],
    path: KeyPath,
    known: Known,
    document: Document,
) -> Iterator[Problem]:
    """Yield what is wrong with a claim about changes from `at.change_from` to the compressions of two groups."""
    base = entry.at[CHANGE_FROM]
    where = (*path, "at", CHANGE_FROM)
    if base not in known.labels:
        yield document.problem(where, unknown_name("compression of this suite", base, known.labels))
    elif base in (reference[1], candidate[1]):
        yield document.problem(where, f"there is no change from {base} to {base}; name two different compressions")
    elif reference[0] == candidate[0]:
        message = f"both changes are those of '{candidate[0]}', so {base} cancels out; leave {CHANGE_FROM} away"
        yield document.problem(where, message)
    elif entry.metric in known.metrics and not changes_under_compression(entry.metric):
        message = f"{entry.metric} has no level both before and after compression, so it has no change"
        yield document.problem(where, message)
    elif entry.metric in known.metrics and (message := unmeasured(suite, entry.metric, str(base))):
        yield document.problem(where, message)


def unmeasured(suite: Suite, metric: str, compression: str) -> str:
    """Return why a metric has no value at a compression, and what to do; empty where it has one."""
    # The spread over seeds is that of accuracy.
    probe = "accuracy" if metric.startswith("seeds.") else probe_of(metric)
    if compression == DENSE:
        missing = probe == "compression"
        return f"{metric} is measured on compressed models only; name a compression" if missing else ""
    if probe == "train":
        return f"{metric} is measured when a model is trained; name {DENSE}"
    if probe != "compression" and probe not in suite.compress_probes:
        return f"{metric} is not measured on compressed models; add '{probe}' to `compress_probes`"
    return ""
