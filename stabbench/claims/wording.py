"""How numbers are written for a reader: effects in the unit people think in, p-values, intervals."""

from __future__ import annotations

import math

from stabbench.claims.claim import Claim
from stabbench.claims.metrics import Metric, metric_named
from stabbench.records import DENSE
from stabbench.suite.metrics import CHANGE_FROM

UNKNOWN = "–"
MINUS = "−"


def effect_text(effect: float | None, metric: Metric, *, signed: bool = True) -> str:
    """Return an effect for a reader: ``+2.4 points`` (share × 100), ``−7.2 %`` (log scale: exp − 1), or the number."""
    if effect is None or not math.isfinite(effect):
        return UNKNOWN if effect is None else str(effect)
    return f"{_size(effect, metric, signed)}{_UNITS[metric.shown]}"


def interval_text(interval: tuple[float, float] | None, level: float, metric: Metric) -> str:
    """Return ``95 % CI +0.3 … +4.5`` in the unit of `effect_text`, or an empty string."""
    if interval is None:
        return ""
    low, high = (_size(end, metric, True) for end in interval)
    return f"{percent_of(level)} % CI {low} … {high}"


def value_text(value: float | None, metric: Metric) -> str:
    """Return a group's value for a reader: three decimals, a rate in percent, a ratio with two decimals."""
    if value is None:
        return UNKNOWN
    if metric.kind == "failure":
        return f"{value:.0%}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.4g}"


def group_text(claim: Claim, value: float | None) -> str:
    """Return a group's value in a claim: `value_text`, or its mean change as an effect is written."""
    metric = metric_named(claim.metric)
    if CHANGE_FROM not in claim.at or value is None:
        return value_text(value, metric)
    if metric.scale == "log":
        return effect_text(math.log(value) if value > 0 else math.nan, metric)
    return effect_text(value, metric)


def percent_of(level: float) -> str:
    """Return a coverage as a percentage without needless digits: ``95``, ``98.3``, ``99.88``; never a rounded 100."""
    missing = 100 * (1 - level)
    if not 0 < missing < 0.5:
        return f"{100 * level:.3g}"
    return f"{100 * level:.{1 - math.floor(math.log10(missing))}f}"


def p_text(p: float | None) -> str:
    """Return ``p = 0.012``, ``p < 0.001``, or ``no p``."""
    if p is None:
        return "no p"
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def units(claim: Claim) -> str:
    """Return what a claim counts: ``seeds``, ``processes`` of latency, or ``texts`` (or what) of two checkpoints."""
    if claim.n_seeds is not None:
        return "seeds"
    metric = metric_named(claim.metric)
    return "processes" if metric.kind == "latency" else metric.counted


def label(claim: Claim) -> str:
    """Return what the claim is about: ``accuracy``, ``accuracy under attack (deepwordbug)``, ``accuracy change …``."""
    at = {key: value for key, value in claim.at.items() if key != CHANGE_FROM}
    place = ", ".join(value if isinstance(value, str) else f"{key} {value}" for key, value in sorted(at.items()))
    return metric_named(claim.metric).label + _change_text(claim) + (f" ({place})" if place else "")


def _change_text(claim: Claim) -> str:
    """Return `` change under int8-dynamic`` for a claim about changes from dense, else nothing."""
    base = claim.at.get(CHANGE_FROM)
    if base is None:
        return ""
    after = dict.fromkeys((claim.candidate[1], claim.reference[1]))
    return f" change {'under' if base == DENSE else f'from {base} to'} {' and '.join(after)}"


def contrast_text(claim: Claim) -> str:
    """Return ``stabilized vs baseline``, or ``stabilized vs run NAME``; compressions that are not dense are told too.

    A compression that `label` says already is not told again.
    """
    candidate, reference = claim.candidate, claim.reference
    if claim.reference_run is not None:
        place = f" ({candidate[1]})" if candidate[1] != "dense" else ""
        return f"{candidate[0]}{place} vs run {claim.reference_run}"
    if candidate[0] == reference[0]:
        return f"{candidate[0]}: {candidate[1]} vs {reference[1]}"
    if candidate[1] != reference[1]:
        return f"{candidate[0]} ({candidate[1]}) vs {reference[0]} ({reference[1]})"
    suffix = f" ({candidate[1]})" if candidate[1] != DENSE and CHANGE_FROM not in claim.at else ""
    return f"{candidate[0]} vs {reference[0]}{suffix}"


_UNITS = {"points": " points", "percent": " %", "plain": ""}


def _size(effect: float, metric: Metric, signed: bool) -> str:
    if metric.shown == "plain":
        text = f"{abs(effect):.3g}"
    else:
        # A log ratio beyond e^20 is a broken measurement; it must not overflow.
        size = 100 * (math.expm1(min(effect, 20.0)) if metric.shown == "percent" else effect)
        effect = size
        text = f"{abs(size):.{2 if 0 < abs(size) < 0.1 else 1}f}"
    sign = MINUS if effect < 0 else "+"
    return f"{sign}{text}" if signed else text
