"""One bench against an earlier one: which benchmarks got slower, by the interval of their ratio. No torch.

Of each process, a benchmark has one number: the median ratio of its rounds to the anchor beside them. Their logarithms
are compared between the two benches by Welch's interval; the fresh process is the unit. A benchmark is ``slower`` only
if the whole interval lies beyond the margin, and ``not slower`` only if the whole interval lies within it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from stabbench.errors import NotComparableError
from stabbench.execution.bench_document import KEY
from stabbench.execution.bench_subjects import REPLICATE
from stabbench.statistics.two_samples import welch_t

Outcome = Literal["slower", "faster", "not slower", "undecided", "refused", "new", "missing"]
MARGIN = 0.05
CONTAMINATED = 0.10
"""Largest share of contaminated rounds of a benchmark that is still judged."""


@dataclass(frozen=True)
class Judged:
    """One benchmark held against its earlier self.

    Attributes:
        name: the benchmark's name.
        outcome: ``slower``, ``faster`` or ``not slower`` (decided), ``undecided`` (the interval holds the margin),
            ``refused`` (the timing cannot be trusted), ``new`` and ``missing``.
        ratio: now / before, None where there is none.
        interval: of the ratio, at `level`.
        level: coverage.
        processes: (before, now).
        reason: in words.
    """

    name: str
    outcome: Outcome
    ratio: float | None
    interval: tuple[float, float] | None
    level: float
    processes: tuple[int, int]
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def judge(
    before: Mapping[str, Any], now: Mapping[str, Any], margin: float = MARGIN, level: float = 0.95
) -> list[Judged]:
    """Return every benchmark of either bench, judged, in the order of `now`, missing ones last.

    Raises:
        NotComparableError: the two were measured on different classes of machine, or have no benchmark in common.
    """
    _same_machine(before, now)
    old, new = (_by_name(document) for document in (before, now))
    if not {*old} & {*new}:
        raise NotComparableError("the two benches have no benchmark in common, so nothing can be decided")
    disturbed = {which: _replicate_differs(found, margin) for which, found in (("baseline", old), ("now", new))}
    judged = [
        _judge_one(name, old[name], mine, margin, level, disturbed)
        if name in old
        else Judged(name, "new", None, None, level, (0, len(mine)), "the baseline does not have it: not judged")
        for name, mine in new.items()
    ]
    gone = [name for name in old if name not in new]
    text = "the baseline has it, and it was not measured now"
    return [*judged, *(Judged(name, "missing", None, None, level, (len(old[name]), 0), text) for name in gone)]


def exit_code(judged: Sequence[Judged], inconclusive: str = "warn") -> int:
    """Return the exit code: 4 refused, 1 slower, 3 missing, 5 undecided (with ``fail``), 0; the first of these.

    Nothing passes silently: a bench of which no benchmark could be judged is 3 at best.
    """
    outcomes = {item.outcome for item in judged}
    if "refused" in outcomes:
        return 4
    if "slower" in outcomes:
        return 1
    if "missing" in outcomes or not outcomes - {"new"}:
        return 3
    return 5 if "undecided" in outcomes and inconclusive == "fail" else 0


def _judge_one(
    name: str,
    old: Sequence[Mapping[str, Any]],
    new: Sequence[Mapping[str, Any]],
    margin: float,
    level: float,
    disturbed: Mapping[str, str],
) -> Judged:
    sizes = (len(old), len(new))
    before, after = ([_log(item["ratio"]) for item in found] for found in (old, new))
    found = welch_t(after, before, level)
    ratio = None if found.value is None else math.exp(found.value)
    interval = None if found.interval is None else (math.exp(found.interval[0]), math.exp(found.interval[1]))
    refused = next((f"{which}: {why}" for which, why in disturbed.items() if why), "") or _contaminated(old, new)
    if refused:
        return Judged(name, "refused", ratio, None, level, sizes, refused)
    if found.low is None or found.high is None:
        return Judged(name, "undecided", ratio, None, level, sizes, found.reason)
    outcome, reason = _outcome(found.low, found.high, math.log1p(margin), f"{level:.0%} interval", f"{margin:.0%}")
    if all(item["contaminated"] is None for item in (*old, *new)):
        reason += "; degraded: this system does not tell whether rounds waited for a processor"
    return Judged(name, outcome, ratio, interval, level, sizes, reason)


def _outcome(low: float, high: float, limit: float, span: str, margin: str) -> tuple[Outcome, str]:
    if low > limit:
        return "slower", f"the whole {span} lies above +{margin}"
    if high < -limit:
        return "faster", f"the whole {span} lies below −{margin}"
    if high < limit:
        return "not slower", f"the whole {span} lies below +{margin}"
    return "undecided", f"the {span} holds +{margin}; more --processes narrow it"


def _same_machine(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for field, what in (
        ("hardware_class", "class of machine"),
        ("system", "system"),
        ("environment", "thread settings"),
    ):
        then, here = (document["machine_info"].get(KEY, {}).get(field) for document in (before, now))
        if then is None or then != here:
            raise NotComparableError(
                f"another {what}: the baseline has {then}, this bench {here}. Latency is compared within one class; "
                "measure a baseline here with `stabbench bench RUN --save FILE`"
            )


def _by_name(document: Mapping[str, Any]) -> dict[str, Sequence[Mapping[str, Any]]]:
    return {item["name"]: item["extra_info"][KEY]["processes"] for item in document["benchmarks"]}


def _log(ratio: float | None) -> float:
    return math.log(ratio) if ratio is not None and ratio > 0 else math.nan


def _contaminated(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> str:
    for which, found in (("baseline", old), ("now", new)):
        known = [(item["contaminated"], item["n"]) for item in found if item["contaminated"] is not None]
        rounds = sum(n for _, n in known)
        share = sum(share * n for share, n in known) / rounds if rounds else 0.0
        if share > CONTAMINATED:
            return (
                f"{which}: contaminated, {share:.0%} of the rounds waited for a processor "
                f"(allowed {CONTAMINATED:.0%}); measure again on a quiet machine"
            )
    return ""


def _replicate_differs(found: Mapping[str, Sequence[Mapping[str, Any]]], margin: float) -> str:
    """Say that a second copy of the reference does not run as fast as the first: then no difference means anything."""
    for name, replicate in found.items():
        if REPLICATE not in name or name.replace(REPLICATE, "") not in found:
            continue
        pairs = zip(replicate, found[name.replace(REPLICATE, "")], strict=False)
        logs = [_log(second["ratio"]) - _log(first["ratio"]) for second, first in pairs]
        mean = math.fsum(logs) / len(logs) if logs else 0.0
        if not abs(mean) <= math.log1p(margin):
            return (
                f"contaminated, the A/A replicate runs at {math.exp(mean):.3f} times its own latency in {name} "
                f"(allowed ±{margin:.0%}); measure again on a quiet machine"
            )
    return ""
