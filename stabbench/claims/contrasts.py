"""Which contrasts a suite asks for: the declared ones, and the secondary ones that its measurements allow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from stabbench.claims.claim import Group
from stabbench.claims.evidence import Contrast
from stabbench.claims.metrics import METRICS, Metric, metric_named
from stabbench.claims.table import Table, compression_labels
from stabbench.records import DENSE, Coordinate
from stabbench.suite.claims import primary_entries as primary_entries
from stabbench.suite.metrics import CHANGE_FROM
from stabbench.suite.schema import ContrastClaim, PrimaryClaim, Suite


def contrasts(table: Table, suite: Suite) -> list[Contrast]:
    """Return the primary contrasts in declared order, then the secondary ones; none twice, none of a group with itself.

    Which declared contrasts there are depends on the suite alone, so that a crashed probe cannot remove one.
    """
    found: dict[str, Contrast] = {}
    for contrast in (
        *_primary(table, suite),
        *_declared(table, suite),
        *_between_variants(table, suite),
        *_within_variants(table, suite),
        *_changes(table, suite),
    ):
        if contrast.reference != contrast.candidate:
            found.setdefault(contrast.id, contrast)
    return list(found.values())


def _primary(table: Table, suite: Suite) -> Iterator[Contrast]:
    reference = suite.compare.reference
    for entry in primary_entries(suite):
        candidates = [v for v in suite.variants if v != reference] if entry.candidate is None else [entry.candidate]
        for variant in candidates:
            # The reference named as its own candidate asks what compression does to it.
            base = DENSE if variant == reference else entry.compression
            groups = ((reference, base), (variant, entry.compression))
            yield resolved(table, suite, entry, groups)


def _declared(table: Table, suite: Suite) -> Iterator[Contrast]:
    """The entries of `compare.contrasts`: any two groups."""
    for entry in suite.compare.contrasts:
        groups = ((entry.reference[0], entry.reference[1]), (entry.candidate[0], entry.candidate[1]))
        yield resolved(table, suite, entry, groups, primary=False)


def resolved(
    table: Table,
    suite: Suite,
    entry: PrimaryClaim | ContrastClaim,
    groups: tuple[Group, Group],
    *,
    primary: bool = True,
) -> Contrast:
    """Return the contrast of a declared metric between two groups (reference, candidate).

    The coordinate is filled in where the metric has only one; where it has several, the contrast says that one must be
    named.
    """
    metric = metric_named(entry.metric)
    if entry.metric not in METRICS and metric.name not in METRICS:
        metric = metric_named(entry.metric, table.direction(entry.metric))
    places = table.places("latency.p50" if metric.kind == "latency" else metric.name, *groups)
    change = {name: value for name, value in entry.at.items() if name == CHANGE_FROM}
    at: Mapping[str, Coordinate] = {name: value for name, value in entry.at.items() if name != CHANGE_FROM}
    unresolved = ""
    if places and dict(at) not in [dict(place) for place in places]:
        if at or len(places) > 1:
            known = "; ".join(json.dumps(dict(place)) for place in places[:6])
            unresolved = f"{metric.name} has no value at {json.dumps(dict(at))}; give `at`, one of: {known}"
        else:
            at = places[0]
    if change and metric.kind not in ("level", "latency"):
        unresolved = f"{metric.name} has no level before and after compression, so it has no change"
    return Contrast(metric, {**at, **change}, *groups, primary, metric.margin_of(suite.compare.margins), unresolved)


def _between_variants(table: Table, suite: Suite) -> Iterator[Contrast]:
    """Each candidate against the reference, at every compression, on every metric that was measured there."""
    reference = suite.compare.reference
    for metric in METRICS.values():
        for variant in suite.variants:
            if variant != reference:
                for label in compression_labels(suite):
                    groups = ((reference, label), (variant, label))
                    yield from measured(table, suite, metric, groups)


def _within_variants(table: Table, suite: Suite) -> Iterator[Contrast]:
    """Compressed against dense, within each variant."""
    for metric in METRICS.values():
        if metric.across_compression:
            for variant in suite.variants:
                for label in compression_labels(suite)[1:]:
                    # What was not measured on the compressed model was not asked for.
                    if _places(table, metric, [(variant, label)]):
                        yield from measured(table, suite, metric, ((variant, DENSE), (variant, label)))


def _changes(table: Table, suite: Suite) -> Iterator[Contrast]:
    """What compression does to each candidate against what it does to the reference: a difference in differences."""
    reference = suite.compare.reference
    for metric in METRICS.values():
        if metric.across_compression:
            for variant in suite.variants:
                for label in compression_labels(suite)[1:]:
                    groups = ((reference, label), (variant, label))
                    dense = ((reference, DENSE), (variant, DENSE))
                    for at in _places(table, metric, groups if variant != reference else ()):
                        if all(at in _places(table, metric, [group]) for group in (*groups, *dense)):
                            place = {**at, CHANGE_FROM: DENSE}
                            yield Contrast(metric, place, *groups, False, metric.margin_of(suite.compare.margins))


def measured(table: Table, suite: Suite, metric: Metric, groups: tuple[Group, Group]) -> Iterator[Contrast]:
    """Yield a secondary contrast of two groups for each coordinate at which the metric was measured in either."""
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
    every = metric.secondary == "each" or (metric.secondary == "by_text" and table.by_text)
    return [at for at in table.places(metric.name, *groups) if every or not at]
