"""What a claim over seeds holds for new texts, where every seed of both groups was tried on the same texts.

A note beside the claim, which is itself about these texts: its verdict goes by the seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stabbench.claims.claim import Group
from stabbench.claims.evidence import Contrast
from stabbench.claims.table import Table
from stabbench.claims.wording import interval_text
from stabbench.statistics.crossed import crossed_difference, crossed_rate, crossed_rate_difference
from stabbench.statistics.result import Estimate, excludes_zero

MEANS = ("noise.accuracy", "noise.flip_rate", "noise.worst_case", "attack.accuracy_under_attack")
"""Metrics with a value on every text."""
RATES: Mapping[str, str] = {"attack.success_rate": "attack.accuracy_under_attack"}
"""Metrics that are rates among some of the texts → a metric that has a value on all of them."""
Tables = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Hits and tries, (seeds, texts) each."""


def notes(contrast: Contrast, table: Table, pairs: Sequence[str]) -> tuple[str, ...]:
    """Return the interval of a difference for new seeds and new texts, and of a rate those of both groups.

    Nothing where it is not known text by text what each seed got, or where nothing shows how new texts would differ.
    """
    if contrast.base is not None:
        return ()
    name = contrast.metric.name
    if name == "accuracy" and not contrast.at:
        first, second = table.correct(contrast.reference, pairs), table.correct(contrast.candidate, pairs)
        if first is None or second is None or first.shape != second.shape:
            return ()
        return _told(contrast, crossed_difference(first, second), first.shape)
    if name in MEANS:
        scores = _scores(contrast, table, pairs)
        return () if scores is None else _told(contrast, crossed_difference(*scores), scores[0].shape)
    if name in RATES:
        found = _rates(contrast, table, pairs)
        return (
            ()
            if found is None
            else (*_told(contrast, crossed_rate_difference(*found), found[0][0].shape), *_own(contrast, found))
        )
    return ()


def _told(contrast: Contrast, found: Estimate, shape: tuple[int, ...]) -> tuple[str, ...]:
    if found.interval is None:
        return ()
    holds = ", which excludes 0" if excludes_zero(found.interval) else ", which holds 0"
    return (
        f"for new texts too: {interval_text(found.interval, found.level, contrast.metric)}{holds} "
        f"({found.method}, {shape[0]} x {shape[1]})",
    )


def _own(contrast: Contrast, found: tuple[Tables, Tables]) -> tuple[str, ...]:
    """Return the two rates with their intervals, where both have one."""
    rates = [crossed_rate(*tables) for tables in found]
    groups = (contrast.reference, contrast.candidate)
    told = [
        f"{_name(group, groups)} {rate.value:.1%} ({rate.low:.1%} … {rate.high:.1%})"
        for group, rate in zip(groups, rates, strict=True)
        if rate.value is not None and rate.low is not None and rate.high is not None
    ]
    return (f"rates for new seeds and texts: {', '.join(told)}",) if len(told) == len(groups) else ()


def _name(group: Group, groups: tuple[Group, Group]) -> str:
    return group[1] if groups[0][0] == groups[1][0] else group[0]


def _scores(contrast: Contrast, table: Table, pairs: Sequence[str]) -> Tables | None:
    """Return the values of reference and candidate on the texts that all seeds of both have a value on."""
    found = _of_both(contrast, table, contrast.metric.name, pairs)
    if found is None:
        return None
    texts = _common(found)
    return _table(found[0], texts), _table(found[1], texts)


def _rates(contrast: Contrast, table: Table, pairs: Sequence[str]) -> tuple[Tables, Tables] | None:
    """Return hits and tries of reference and candidate on the texts that all seeds of both were put to."""
    hits = _of_both(contrast, table, contrast.metric.name, pairs)
    every = _of_both(contrast, table, RATES[contrast.metric.name], pairs)
    if hits is None or every is None:
        return None
    texts = _common(every)
    tables = [(_table(side, texts), _table([dict.fromkeys(seed, 1.0) for seed in side], texts)) for side in hits]
    return tables[0], tables[1]


Values = Sequence[Mapping[str, float]]
"""Per seed, text → value."""


def _of_both(contrast: Contrast, table: Table, metric: str, pairs: Sequence[str]) -> tuple[Values, Values] | None:
    first = table.text_values(metric, contrast.place, contrast.reference, pairs)
    second = table.text_values(metric, contrast.place, contrast.candidate, pairs)
    return None if first is None or second is None else (first, second)


def _common(found: tuple[Values, Values]) -> list[str]:
    first, *others = (*found[0], *found[1])
    return [text for text in first if all(text in other for other in others)]


def _table(values: Values, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return (seeds, texts); 0 where a seed has no value."""
    return np.array([[seed.get(text, 0.0) for text in texts] for seed in values], dtype=np.float64)
