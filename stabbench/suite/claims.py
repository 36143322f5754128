"""What `compare` declares, checked before anything runs: a claim that nothing can answer is a mistake."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stabbench import registry
from stabbench.errors import Problem, unknown_name
from stabbench.records import DENSE
from stabbench.suite.metrics import AGGREGATED, COORDINATES, made_by, probe_of
from stabbench.suite.schema import PrimaryClaim, Suite
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath


def compare_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield the mistakes in `compare`: unknown variants, metrics no probe makes, claims that name too little."""
    compare = suite.compare
    variants = names_in(document, "variants", suite.variants)
    if variants and compare.reference not in variants:
        yield document.problem(("compare", "reference"), unknown_name("variant", compare.reference, variants))
    metrics = made_by(names_in(document, "probes", suite.probes))
    for index, entry in enumerate(compare.primary or ()):
        claim = entry if isinstance(entry, PrimaryClaim) else PrimaryClaim(metric=entry)
        path: KeyPath = ("compare", "primary", index)
        yield from claim_problems(suite, claim, path, path, document)
        if claim.candidate == suite.compare.reference and claim.compression == DENSE:
            message = "compares the reference with itself; name another variant, or a compression"
            yield document.problem((*path, "candidate"), message)
    for metric, margin in compare.margins.items():
        path = ("compare", "margins", metric)
        if metric not in metrics:
            yield document.problem(path, unknown_name("metric of this suite's probes", metric, metrics))
        elif margin < 0:
            yield document.problem(path, f"a margin must be at least 0; found {margin}")


def claim_problems(
    suite: Suite, claim: PrimaryClaim, path: KeyPath, metric_path: KeyPath, document: Document
) -> Iterator[Problem]:
    """Yield the mistakes in which claim is meant: metric, coordinate, candidate, compression.

    Args:
        suite: what is measured.
        claim: metric and groups.
        path: where the claim stands.
        metric_path: where its metric stands.
        document: the file.
    """
    variants = names_in(document, "variants", suite.variants)
    metrics = made_by(names_in(document, "probes", suite.probes))
    labels = [DENSE, *compression_labels(suite)]
    if claim.metric not in metrics:
        yield document.problem(metric_path, unknown_name("metric of this suite's probes", claim.metric, metrics))
    else:
        yield from _place_problems(suite, claim, path, document)
    if claim.candidate is not None and claim.candidate not in variants:
        yield document.problem((*path, "candidate"), unknown_name("variant", claim.candidate, variants))
    if claim.compression not in labels:
        message = unknown_name("compression of this suite", claim.compression, labels)
        yield document.problem((*path, "compression"), message)
    if probe_of(claim.metric) == "compression" and claim.metric in metrics and claim.compression == DENSE:
        message = f"{claim.metric} is measured on compressed models only; name a `compression`"
        yield document.problem((*path, "compression"), message)


def _place_problems(suite: Suite, claim: PrimaryClaim, path: KeyPath, document: Document) -> Iterator[Problem]:
    """`at` must name one of the values that the probe's options make, and may be left out where there is one."""
    probe = probe_of(claim.metric)
    options = {**_defaults(probe), **suite.probes.get(probe, {})}
    # A coordinate that the probe of this suite does not list (a third party's) is left to the measurements.
    listed = {name: options.get(option) for name, option in COORDINATES.get(probe, {}).items()}
    places = {name: list(values) for name, values in listed.items() if isinstance(values, list | tuple)}
    if not places:
        return
    for name, value in claim.at.items():
        if name not in places:
            yield document.problem((*path, "at", name), unknown_name(f"coordinate of {claim.metric}", name, places))
        elif value not in places[name]:
            yield document.problem((*path, "at", name), unknown_name(name, value, map(str, places[name])))
    unnamed = {name: values for name, values in places.items() if name not in claim.at}
    partly = bool(unnamed) and bool(claim.at)
    several = probe not in AGGREGATED and math.prod(map(len, unnamed.values())) > 1
    if partly or several:
        example = json.dumps({name: values[0] for name, values in places.items() if values})
        message = f"{claim.metric} has several values; say which, as in {{metric: …, at: {example}}}"
        yield document.problem(path, message)


def _defaults(probe: str) -> dict[str, Any]:
    return registry.card("probes", probe).defaults() if probe in registry.names("probes") else {}


def compression_labels(suite: Suite) -> list[str]:
    """Return the label of every chain of compressors, in suite order."""
    return [entry if isinstance(entry, str) else "+".join(entry) for entry in suite.compressions]


def names_in(document: Document, key: str, checked: Iterable[str]) -> list[str]:
    """Return the names that the file gives below `key`, those of parts that are wrong in themselves included."""
    given = document.value((key,))
    return list(given) if isinstance(given, Mapping) else list(checked)
