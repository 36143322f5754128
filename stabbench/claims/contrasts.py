"""Which contrasts a suite asks for: the declared primary ones, and the secondary ones its measurements allow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from stabbench import registry
from stabbench.claims.claim import Group
from stabbench.claims.evidence import Contrast
from stabbench.claims.metrics import METRICS, Metric, metric_named
from stabbench.claims.table import Table, compression_labels
from stabbench.records import DENSE, Coordinate
from stabbench.suite.schema import PrimaryClaim, Suite


def contrasts(table: Table, suite: Suite) -> list[Contrast]:
    """Return the primary contrasts in declared order, then the secondary ones; none twice, none of a group with itself.

    Which primary contrasts there are depends on the suite alone, so that a crashed probe cannot remove one.
    """
    found: dict[str, Contrast] = {}
    for contrast in (*_primary(table, suite), *_between_variants(table, suite), *_within_variants(table, suite)):
        if contrast.reference != contrast.candidate:
            found.setdefault(contrast.id, contrast)
    return list(found.values())


def primary_entries(suite: Suite) -> list[PrimaryClaim]:
    """Return the declared entries; by default accuracy, train.failed and one robustness metric the suite measures."""
    declared = suite.compare.primary
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


def _primary(table: Table, suite: Suite) -> Iterator[Contrast]:
    reference = suite.compare.reference
    for entry in primary_entries(suite):
        candidates = [v for v in suite.variants if v != reference] if entry.candidate is None else [entry.candidate]
        for variant in candidates:
            # The reference named as its own candidate asks what compression does to it.
            base = DENSE if variant == reference else entry.compression
            groups = ((reference, base), (variant, entry.compression))
            yield _resolved(table, suite, entry, groups)


def _resolved(table: Table, suite: Suite, entry: PrimaryClaim, groups: tuple[Group, Group]) -> Contrast:
    """Fill in the coordinate where the metric has only one; where it has several, say that one must be named."""
    metric = metric_named(entry.metric)
    if entry.metric not in METRICS and metric.name not in METRICS:
        metric = metric_named(entry.metric, table.direction(entry.metric))
    places = table.places(metric.name, *groups)
    at: Mapping[str, Coordinate] = entry.at
    unresolved = ""
    if places and dict(at) not in [dict(place) for place in places]:
        if at or len(places) > 1:
            known = "; ".join(json.dumps(dict(place)) for place in places[:6])
            unresolved = f"{metric.name} has no value at {json.dumps(dict(at))}; give `at`, one of: {known}"
        else:
            at = places[0]
    return Contrast(metric, at, *groups, True, metric.margin_of(suite.compare.margins), unresolved)


def _between_variants(table: Table, suite: Suite) -> Iterator[Contrast]:
    """Each candidate against the reference, at every compression, on every metric that was measured there."""
    reference = suite.compare.reference
    for metric in METRICS.values():
        for variant in suite.variants:
            if variant != reference:
                for label in compression_labels(suite):
                    groups = ((reference, label), (variant, label))
                    yield from _measured(table, suite, metric, groups)


def _within_variants(table: Table, suite: Suite) -> Iterator[Contrast]:
    """Compressed against dense, within each variant."""
    for metric in METRICS.values():
        if metric.across_compression:
            for variant in suite.variants:
                for label in compression_labels(suite)[1:]:
                    # What was not measured on the compressed model was not asked for.
                    if _places(table, metric, [(variant, label)]):
                        yield from _measured(table, suite, metric, ((variant, DENSE), (variant, label)))


def _measured(table: Table, suite: Suite, metric: Metric, groups: tuple[Group, Group]) -> Iterator[Contrast]:
    for at in _places(table, metric, groups):
        yield Contrast(metric, at, *groups, False, metric.margin_of(suite.compare.margins))


def _places(table: Table, metric: Metric, groups: Sequence[Group]) -> list[Mapping[str, Coordinate]]:
    """Coordinates of the secondary claims of a metric in these groups."""
    if metric.secondary == "none":
        return []
    if metric.kind == "latency":
        return table.places("latency.p50", *groups)
    if metric.kind == "spread":
        return [{}] if all(group[1] == DENSE and table.places("accuracy", group) for group in groups) else []
    return [at for at in table.places(metric.name, *groups) if metric.secondary == "each" or not at]
