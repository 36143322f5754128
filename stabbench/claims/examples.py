"""Evidence about two finished checkpoints: the unit is the text, and the claim is about these checkpoints alone.

One training each says nothing about how either was trained, so no seeds are counted and no recipe is spoken of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabbench.claims.claim import Group, Verdict
from stabbench.claims.evidence import Contrast, Evidence, Interval, mean, no_interval
from stabbench.claims.table import Table
from stabbench.statistics.bootstrap import discordant, paired_bootstrap
from stabbench.statistics.failures import mcnemar
from stabbench.statistics.paired import paired_t, sign_flip


@dataclass(frozen=True)
class Pairs:
    """What two groups got on the same texts: (n,) values each, and how many texts were planned."""

    reference: NDArray[np.float64]
    candidate: NDArray[np.float64]
    planned: int

    @property
    def binary(self) -> bool:
        """Whether every value is 0 or 1: right or wrong, led astray or not."""
        both = np.concatenate([self.reference, self.candidate])
        return bool(np.isin(both, (0.0, 1.0)).all())


def evidence(contrast: Contrast, table: Table) -> Evidence:
    """Return the evidence of the texts that both groups were measured on.

    Right or wrong: exact McNemar over the texts that only one of them gets right, with the interval of
    `paired_bootstrap`. Shares (of kinds and severities of noise, of a sentence's swapped terms): the paired t over
    texts, with the sign-flip permutation beside it. A rate among texts that were attacked uses the texts attacked in
    both, and a failure rate the behavioural cases that apply to both.
    """
    pairs = _pairs(contrast, table)
    if pairs is None:
        return _missing(contrast, table)
    n = len(pairs.reference)
    blocked = _blocked(contrast, table, n)
    found = _binary(pairs, contrast) if pairs.binary and contrast.base is None else _shares(pairs, contrast)
    told = blocked is None
    return Evidence(
        reference_value=mean(pairs.reference.tolist()),
        candidate_value=mean(pairs.candidate.tolist()),
        effect=found.effect,
        p=found.p if told else None,
        interval=found.interval if told else no_interval,
        test=found.test,
        n_used=n,
        n_planned=pairs.planned,
        by_seed=False,
        notes=found.notes if told else (),
        blocked=blocked,
        undecidable=found.undecidable,
    )


def answerable(contrast: Contrast, table: Table) -> bool:
    """Return whether both groups were measured text by text, so that a secondary claim has something to say."""
    return _pairs(contrast, table) is not None


def _pairs(contrast: Contrast, table: Table) -> Pairs | None:
    """Return the values on the texts common to both groups, in the reference's order; changes where these are asked."""
    sides = [_values(contrast, table, group) for group in (contrast.reference, contrast.candidate)]
    if sides[0] is None or sides[1] is None:
        return None
    (first, planned), (second, others) = sides[0], sides[1]
    shared = [example for example in first if example in second]
    a = np.array([first[example] for example in shared], dtype=np.float64)
    b = np.array([second[example] for example in shared], dtype=np.float64)
    return Pairs(a, b, max(planned, others))


def _values(contrast: Contrast, table: Table, group: Group) -> tuple[Mapping[str, float], int] | None:
    found = table.outcome(contrast.metric.name, contrast.place, group)
    if found is None or contrast.base is None:
        return None if found is None else (found.by_text(), found.planned)
    before = table.outcome(contrast.metric.name, contrast.place, (group[0], contrast.base))
    if before is None:
        return None
    base = before.by_text()
    return {text: value - base[text] for text, value in found.by_text().items() if text in base}, found.planned


@dataclass(frozen=True)
class _Found:
    effect: float | None
    p: float | None
    interval: Interval
    test: str
    notes: tuple[str, ...] = ()
    undecidable: str = ""


def _binary(pairs: Pairs, contrast: Contrast) -> _Found:
    right = pairs.reference.astype(bool), pairs.candidate.astype(bool)
    only = discordant(*right)
    test, whole = mcnemar(*only), paired_bootstrap(*right)
    n, (reference, candidate) = len(right[0]), (contrast.reference[0], contrast.candidate[0])
    if reference == candidate:
        reference, candidate = contrast.reference[1], contrast.candidate[1]
    note = (
        f"these two checkpoints differ on {sum(only)} of {n} {contrast.metric.counted}: {only[0]} count for "
        f"{reference} only, {only[1]} for {candidate} only; interval: {whole.method}"
    )
    return _Found(
        whole.value,
        test.p if n else None,
        lambda level: paired_bootstrap(*right, level).interval,
        test.method,
        (note,),
        whole.reason if whole.interval is None else "",
    )


def _shares(pairs: Pairs, contrast: Contrast) -> _Found:
    differences = (pairs.candidate - pairs.reference).tolist()
    whole = paired_t(differences)
    flip = sign_flip(differences)
    notes = () if flip.p is None else (f"{flip.method} over {contrast.metric.counted} p = {flip.p:.3g}",)
    undecidable = whole.reason if whole.interval is None else ""
    return _Found(
        whole.value,
        whole.p,
        lambda level: paired_t(differences, level).interval,
        f"paired t over {contrast.metric.counted}",
        notes,
        undecidable,
    )


def _blocked(contrast: Contrast, table: Table, n: int) -> tuple[Verdict, str] | None:
    if n == 0:
        return "not comparable", "there is no text that both of these two checkpoints were measured on"
    if contrast.excludes_failed:
        collapsed = [group[0] for group in (contrast.reference, contrast.candidate) if table.collapsed(group)]
        if collapsed:
            who = " and ".join(dict.fromkeys(collapsed))
            return "not comparable", f"collapsed: {who} hardly looks at the text, so nothing can lead it astray"
    return None


def _missing(contrast: Contrast, table: Table) -> Evidence:
    groups = (contrast.reference, contrast.candidate)
    measured = [bool(table.values(contrast.metric.name, contrast.place, group)) for group in groups]
    blocked: tuple[Verdict, str] = ("incomplete", "it was not measured on both checkpoints")
    if all(measured):
        reason = f"{contrast.metric.label} is not measured text by text, so two checkpoints cannot be paired on it"
        blocked = ("not comparable", reason)
    values = [mean(list(table.values(contrast.metric.name, contrast.place, group).values())) for group in groups]
    return Evidence(values[0], values[1], None, None, no_interval, "", 0, 0, by_seed=False, blocked=blocked)
