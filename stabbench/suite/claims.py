"""What `compare` declares, checked before anything runs: a claim that nothing can answer is a mistake."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stabbench import registry
from stabbench.errors import Problem, suggestion, unknown_name
from stabbench.records import DENSE
from stabbench.suite.contrasts import Known, change_problems, contrast_problems, unmeasured
from stabbench.suite.metrics import AGGREGATED, CHANGE_FROM, COORDINATES, UNSAID, made_by, probe_of
from stabbench.suite.schema import ContrastClaim, PrimaryClaim, Suite
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath


def compare_problems(suite: Suite, document: Document) -> Iterator[Problem]:
    """Yield the mistakes in `compare`: unknown variants, metrics no probe makes, claims that name too little."""
    compare = suite.compare
    variants = names_in(document, "variants", suite.variants)
    if variants and compare.reference not in variants:
        yield document.problem(("compare", "reference"), unknown_name("variant", compare.reference, variants))
    metrics = made_by(names_in(document, "probes", suite.probes))
    known = Known(variants, metrics, [DENSE, *compression_labels(suite)])
    for index, contrast in enumerate(compare.contrasts):
        where: KeyPath = ("compare", "contrasts", index)
        yield from contrast_problems(suite, contrast, where, known, document)
        if contrast.metric in metrics:
            yield from _place_problems(suite, contrast, where, document)
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
    known = Known(variants, metrics, labels)
    if claim.metric not in metrics:
        yield document.problem(metric_path, unknown_name("metric of this suite's probes", claim.metric, metrics))
    else:
        yield from _place_problems(suite, claim, path, document)
    if claim.candidate is not None and claim.candidate not in variants:
        yield document.problem((*path, "candidate"), unknown_name("variant", claim.candidate, variants))
    if claim.compression not in labels:
        message = unknown_name("compression of this suite", claim.compression, labels)
        yield document.problem((*path, "compression"), message)
    elif claim.metric in metrics and (message := unmeasured(suite, claim.metric, claim.compression)):
        yield document.problem((*path, "compression"), message)
    if CHANGE_FROM in claim.at:
        reference = (suite.compare.reference, claim.compression)
        candidate = (claim.candidate or "", claim.compression)
        yield from change_problems(suite, claim, reference, candidate, path, known, document)


def _place_problems(
    suite: Suite, claim: PrimaryClaim | ContrastClaim, path: KeyPath, document: Document
) -> Iterator[Problem]:
    """`at` must name one of the values that the probe's options make, and may be left out where there is one."""
    probe = probe_of(claim.metric)
    options = {**_defaults(probe), **suite.probes.get(probe, {})}
    # A coordinate that the probe of this suite does not list (a third party's) is left to the measurements.
    listed = {name: options.get(option) for name, option in COORDINATES.get(probe, {}).items()}
    places = {name: list(values) for name, values in listed.items() if isinstance(values, list | tuple)}
    for name, unsaid in UNSAID.items():
        places = {key: [v for v in values if key != name or v != unsaid] for key, values in places.items()}
    place = {name: value for name, value in claim.at.items() if name != CHANGE_FROM}
    if not places:
        # Left to the measurements too, but for what was surely meant to be the claim's own coordinate.
        for name in place:
            if suggestion(name, [CHANGE_FROM]):
                message = unknown_name(f"coordinate of {claim.metric}", name, [CHANGE_FROM])
                yield document.problem((*path, "at", name), message)
        return
    if "scenario" in place and isinstance(options.get("scenarios"), list | tuple):
        # A scenario has places of its own: one, or (a server) one for each of its loads.
        if place["scenario"] not in options["scenarios"]:
            message = unknown_name("scenario of this suite", place["scenario"], options["scenarios"])
            yield document.problem((*path, "at", "scenario"), message)
        return
    for name, value in place.items():
        if name not in places:
            yield document.problem(
                (*path, "at", name), unknown_name(f"coordinate of {claim.metric}", name, [*places, CHANGE_FROM])
            )
        elif value not in places[name]:
            yield document.problem((*path, "at", name), unknown_name(name, value, map(str, places[name])))
    unnamed = {name: values for name, values in places.items() if name not in (*place, *UNSAID)}
    partly = bool(unnamed) and bool(place)
    several = probe not in AGGREGATED and math.prod(map(len, unnamed.values())) > 1
    if partly or several:
        example = json.dumps({name: values[0] for name, values in places.items() if values})
        message = f"{claim.metric} has several values; say which, as in {{metric: …, at: {example}}}"
        yield document.problem(path, message)


def _defaults(probe: str) -> dict[str, Any]:
    return registry.card("probes", probe).defaults() if probe in registry.names("probes") else {}


def primary_entries(suite: Suite) -> list[PrimaryClaim]:
    """Return the declared entries; by default accuracy, train.failed and one robustness metric the suite measures.

    Checkpoints have no failed runs: by default accuracy, and what is measured text by text under noise or attack.
    """
    declared = suite.compare.primary
    if declared is None and suite.of_checkpoints:
        noise = [PrimaryClaim(metric="noise.worst_case")] if "noise" in suite.probes else []
        declared = ["accuracy", *noise, *_attacked(suite)]
    if declared is None:
        robustness = [PrimaryClaim(metric="noise.mce")] if "noise" in suite.probes else _attacked(suite)
        declared = ["accuracy", "train.failed", *robustness[:1]]
    return [PrimaryClaim(metric=entry) if isinstance(entry, str) else entry for entry in declared]


def _attacked(suite: Suite) -> list[PrimaryClaim]:
    """The first recipe of the attack probe that changes answers, by name where the suite names it."""
    if "attack" not in suite.probes:
        return []
    given = suite.probes["attack"].get("recipes") or []
    # A run made elsewhere may name a recipe that is not installed here.
    known = registry.names("attacks")
    keeping = [name for name in given if name in known and registry.card("attacks", name).traits["goal"] == "keep"]
    recipes = [name for name in given if name not in keeping]
    if given and not recipes:
        return [PrimaryClaim(metric="attack.words_left", at={"recipe": given[0]})]
    at = {"recipe": recipes[0]} if recipes else {}
    return [PrimaryClaim(metric="attack.accuracy_under_attack", at=at)]


def compression_labels(suite: Suite) -> list[str]:
    """Return the label of every chain of compressors, in suite order."""
    return [entry if isinstance(entry, str) else "+".join(entry) for entry in suite.compressions]


def names_in(document: Document, key: str, checked: Iterable[str]) -> list[str]:
    """Return the names that the file gives below `key`, those of parts that are wrong in themselves included."""
    given = document.value((key,))
    return list(given) if isinstance(given, Mapping) else list(checked)
