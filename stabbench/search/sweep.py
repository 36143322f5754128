"""``stabbench sweep``: every variant over the same grid of one option, by ordinary runs, and where each begins to fail.

Each value of the grid is a run of the suite in which every variant has that value; its cells are in the store like any
others, so that a sweep resumes where it stopped, and a run has a folder with its own report.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.execution.conclude import Outcome, relative
from stabbench.execution.terminal import print_warnings
from stabbench.planning.trials import arms, labels
from stabbench.records import finite
from stabbench.report.source import Source
from stabbench.runner import RunOptions, load, run
from stabbench.search.ranges import Range, applies, labels_of, read_range
from stabbench.search.variants import bare, changed
from stabbench.statistics.paired import sign_flip
from stabbench.statistics.sensitivity import (
    TOLERATED,
    Point,
    Reading,
    best_score,
    half_failure,
    sensitivity,
    stability_margin,
)
from stabbench.store.run_folder import RunFolder
from stabbench.suite.load import LoadedSuite
from stabbench.suite.schema import Suite

Runs = dict[str, dict[str, tuple[float, bool]]]
"""Variant → seed → (score, whether the run failed)."""


@dataclass(frozen=True)
class Sweep:
    """A finished or interrupted sweep.

    Attributes:
        document: what ``--json`` prints and ``sweep.json`` holds.
        exit_code: 0 complete, 3 incomplete, 130 interrupted.
    """

    document: dict[str, Any]
    exit_code: int


def sweep(options: RunOptions, over: str, points: int) -> Sweep:
    """Run the suite at every value of the grid, read the runs, and write ``sweep.json`` and ``sweep.html``.

    Raises:
        ConfigurationError: the suite, the option or the grid is wrong; nothing was run.
    """
    from stabbench.report.sweep_page import write_page

    started, clock = datetime.now(UTC), time.monotonic()
    loaded = load(options)
    print_warnings(loaded)
    suite = loaded.suite
    minutes = suite.budget.minutes
    budget = options.max_seconds or (minutes * 60 if minutes else None)
    option = read_range(over, suite)
    values = _grid(option, points, over)
    if lacking := [name for name, variant in suite.variants.items() if not applies(option, variant)]:
        message = f"--over {over}: {', '.join(lacking)} has no such option, so the grid would not be the same for all"
        raise ConfigurationError([message])
    folder = options.out or Path("runs") / f"{started:%Y%m%dT%H%M%SZ}-{suite.name}-sweep"
    outcomes: list[Outcome] = []
    for value, label in zip(values, labels_of(values), strict=True):
        left = None if budget is None else max(0.001, budget - (time.monotonic() - clock))
        name = option.key.rpartition(".")[2]
        outcomes.append(run(_at(options, option, value, folder / f"{name}={label}", left)))
        if outcomes[-1].exit_code == 130:
            break
    found = [_read(outcome.folder, suite) for outcome in outcomes]
    document = {
        **describe(suite, option.key, values, [runs for runs, _ in found], _chance(suite, [m for _, m in found])),
        "status": "complete"
        if all(o.exit_code == 0 for o in outcomes) and len(outcomes) == len(values)
        else "incomplete",
        "smoke": options.smoke,
        "runs": [relative(outcome.folder.path) for outcome in outcomes],
        "report": relative(folder / "sweep.html"),
    }
    (folder / "sweep.json").write_text(json.dumps(finite(document), indent=1, ensure_ascii=False) + "\n", "utf-8")
    write_page(document, folder / "sweep.html")
    worst = max((outcome.exit_code for outcome in outcomes), default=0)
    return Sweep(document, 3 if worst == 0 and len(outcomes) < len(values) else worst)


def _grid(option: Range, points: int, over: str) -> list[Any]:
    values = option.grid(points)
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(values) or min(numbers) <= 0:
        raise ConfigurationError([f"--over {over}: a sweep is over numbers above 0; give such a range or list"])
    if len(values) < 2:
        raise ConfigurationError([f"--over {over}: one value is no sweep; give two or more (--points)"])
    return sorted(values)


def _at(options: RunOptions, option: Range, value: Any, folder: Path, seconds: float | None) -> RunOptions:
    def adapt(loaded: LoadedSuite) -> LoadedSuite:
        given = {name: {option.key: value} for name in loaded.suite.variants}
        return changed(loaded, given, **bare(loaded.suite))

    return replace(options, adapt=adapt, out=folder, max_seconds=seconds)


def _read(folder: RunFolder, suite: Suite) -> tuple[Runs, float | None]:
    """Return the runs of one value, and the share of the commonest test label."""
    source = Source(folder)
    runs: Runs = {}
    for variant in suite.variants:
        scores, failed = (source.by_seed(metric, variant) for metric in (suite.task.metric, "train.failed"))
        runs[variant] = {seed: (scores[seed], bool(failed[seed])) for seed in scores if seed in failed}
    return runs, source.majority()


def _chance(suite: Suite, majorities: Sequence[float | None]) -> float:
    """Return the score without learning: 0 for Matthews' correlation, else the share of the commonest label."""
    known = [share for share in majorities if share is not None]
    return 0.0 if suite.task.metric == "mcc" or not known else known[0]


def describe(suite: Suite, key: str, values: Sequence[float], runs: Sequence[Runs], chance: float) -> dict[str, Any]:
    """Return the sweep as JSON: per variant the points and the four figures, and the paired count of failed runs."""
    names = [arm.variant for arm in arms(suite)]
    shown = list(zip(values, runs, strict=False))
    variants = {
        name: _variant([_point(value, found.get(name, {})) for value, found in shown], chance) for name in names
    }
    return {
        "schema": 1,
        "suite": suite.name,
        "over": key,
        "values": list(values),
        "seeds": len(labels(suite)),
        "metric": suite.task.metric,
        "chance": chance,
        "tolerated": TOLERATED,
        "reference": names[0],
        "variants": variants,
        "comparisons": [_compared(name, names[0], runs, variants) for name in names[1:]],
    }


def _point(value: float, runs: Mapping[str, tuple[float, bool]]) -> Point:
    scores, failed = zip(*runs.values(), strict=True) if runs else ((), ())
    return Point(value, tuple(scores), tuple(failed))


def _variant(points: Sequence[Point], chance: float) -> dict[str, Any]:
    return {
        "points": [
            {"value": p.value, "failed": p.count[0], "n": p.count[1], "rate": p.rate, "mean": p.mean,
             "scores": list(p.scores)}
            for p in points
        ],
        "margin": _reading(stability_margin(points)),
        "half_failure": _reading(half_failure(points)),
        "sensitivity": _reading(sensitivity(points, chance)),
        "best": _reading(best_score(points)),
    }  # fmt: skip


def _reading(found: Reading) -> dict[str, Any]:
    return {**vars(found), "between": None if found.between is None else list(found.between)}


def _compared(name: str, reference: str, runs: Sequence[Runs], variants: Mapping[str, Any]) -> dict[str, Any]:
    """Return failed runs of both over the pairs that both have, with the sign-flip p over seeds, and margins' ratio.

    The seed is the unit: the runs of one seed at several values share their initial weights and order.
    """
    differences: dict[str, int] = {}
    failed, pairs = [0, 0], 0
    for found in runs:
        mine, its = found.get(name, {}), found.get(reference, {})
        for seed in mine.keys() & its.keys():
            differences[seed] = differences.get(seed, 0) + mine[seed][1] - its[seed][1]
            failed = [failed[0] + its[seed][1], failed[1] + mine[seed][1]]
            pairs += 1
    test = sign_flip([float(differences[seed]) for seed in sorted(differences)])
    margins = [variants[v]["margin"]["value"] for v in (name, reference)]
    return {
        "candidate": name,
        "reference": reference,
        "pairs": pairs,
        "failed": failed,
        "p": test.p,
        "p_floor": test.floor,
        "test": test.method,
        "n_seeds": len(differences),
        "margin_ratio": margins[0] / margins[1] if None not in margins else None,
    }
