"""``stabbench tune``: options of every variant searched on the validation split, with the same number of trials each.

While it searches, the validation split stands in the place of the test split, which is not read; trainings are ordinary
cells, so that a search resumes where it stopped. Only then are the winners run, on seeds that the search has not seen,
as the suite says: that run makes the claims.
"""

from __future__ import annotations

import glob
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.execution.conclude import Outcome, relative
from stabbench.execution.terminal import print_warnings
from stabbench.planning.cells import train_id
from stabbench.planning.fingerprints import model_fingerprint
from stabbench.planning.trials import Plugged, arms, labels, train_options
from stabbench.planning.versions import ENGINE
from stabbench.records import DENSE, finite
from stabbench.runner import RunOptions, load, run
from stabbench.search.ranges import Range, applies, read_range
from stabbench.search.studies import Study, Trial
from stabbench.search.variants import bare, changed, on_validation, seeds_apart
from stabbench.search.work import Worked, work_only
from stabbench.store.cells import Store, key_of
from stabbench.suite.fingerprint import data_fingerprint
from stabbench.suite.load import LoadedSuite
from stabbench.suite.schema import Suite, TrainOptions

AROUND = 5.0
"""Without ``--over``: the learning rate, from a fifth of each variant's own to five times it."""


@dataclass(frozen=True)
class TuneOptions:
    """What the command line says beside the run's options.

    Attributes:
        over: texts of ``--over``; none: the learning rate around each variant's own.
        trials: option values tried for each variant, the suite's own first.
        seeds: trainings of each trial, at most: a trial that is behind after some of them is given up.
    """

    over: tuple[str, ...] = ()
    trials: int = 10
    seeds: int = 2


@dataclass(frozen=True)
class Tuned:
    """A finished or interrupted search.

    Attributes:
        document: what ``--json`` prints and ``tune.json`` holds.
        confirmation: the run of the winners on fresh seeds; None where the search did not end.
        exit_code: 0 complete, 3 incomplete, 130 interrupted.
    """

    document: dict[str, Any]
    confirmation: Outcome | None
    exit_code: int


class _Stopped(Exception):
    """The search cannot go on: interrupted, or out of time."""

    def __init__(self, exit_code: int) -> None:
        self.exit_code = exit_code


def tune(options: RunOptions, search: TuneOptions) -> Tuned:
    """Search, then run the winners on fresh seeds; write ``tune.json``.

    Raises:
        ConfigurationError: the suite or an option is wrong, there is no validation split, or optuna is not installed.
    """
    started = datetime.now(UTC)
    loaded = load(options)
    print_warnings(loaded)
    suite = loaded.suite
    if suite.data.validation is None:
        message = "tune searches on the validation split, and there is none: give data.validation, such as"
        raise ConfigurationError([f"{message} {{fraction: 0.1}}. The test split is not read while it searches"])
    folder = options.out or Path("runs") / f"{started:%Y%m%dT%H%M%SZ}-{suite.name}-tune"
    search_of = _Search(options, search, loaded)
    code = 0
    try:
        search_of.run()
    except _Stopped as stopped:
        code = stopped.exit_code
    winners = {name: study.best() for name, study in search_of.studies.items()}
    confirmation = None
    if code == 0:
        if lost := [name for name, best in winners.items() if best is None]:
            raise ConfigurationError([f"no trial of {', '.join(lost)} has finished, so there is nothing to confirm"])
        confirmation = _confirm(options, {name: best for name, best in winners.items() if best}, folder, search_of)
        code = confirmation.exit_code
    document = _document(suite, search, search_of, confirmation, options.smoke)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tune.json").write_text(json.dumps(finite(document), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return Tuned(document, confirmation, code)


class _Search:
    """Rounds of one trial for every variant, all on the same seeds."""

    def __init__(self, options: RunOptions, search: TuneOptions, loaded: LoadedSuite) -> None:
        self.options, self.search, self.suite = options, search, loaded.suite
        self.clock = time.monotonic()
        minutes = self.suite.budget.minutes
        self.budget = options.max_seconds or (minutes * 60 if minutes else None)
        self.seeds = seeds_apart(labels(self.suite), search.seeds)
        names = [arm.variant for arm in arms(self.suite)]
        self.spaces = {name: _space(self.suite, name, search.over) for name in names}
        self.storage = options.store.parent / "tune" / f"{self._identity(loaded)}.log"
        self.studies = {
            name: Study(self.storage, name, space, _own(self.suite, name, space), len(self.seeds))
            for name, space in self.spaces.items()
        }

    @property
    def seconds_left(self) -> float | None:
        """Seconds until no training is to be started any more; None without a limit."""
        return None if self.budget is None else max(0.001, self.budget - (time.monotonic() - self.clock))

    def run(self) -> None:
        """Go on until every variant has had its trials."""
        while pending := [name for name, study in self.studies.items() if study.spent() < self.search.trials]:
            asked = {name: self.studies[name].ask() for name in pending}
            for seed in self.seeds:
                going = [name for name, trial in asked.items() if not trial.given_up]
                if not going:
                    break
                for name, score in self._trained(asked, going, seed).items():
                    asked[name].report(score)
            for trial in asked.values():
                trial.finish()

    def _trained(self, asked: Mapping[str, Trial], going: Sequence[str], seed: int) -> dict[str, float | None]:
        """Train some trials of a round at one seed; return each score on the validation split, None after an error."""

        def adapt(loaded: LoadedSuite) -> LoadedSuite:
            values = {name: trial.values for name, trial in asked.items()}
            fields = {**bare(loaded.suite), "data": on_validation(loaded.suite.data), "seeds": [seed]}
            return changed(loaded, values, **fields)

        chosen = ",".join(f"variant={glob.escape(name)}" for name in going)
        worked = work_only(replace(self.options, adapt=adapt, select=chosen, max_seconds=self.seconds_left))
        if worked.interrupted:
            raise _Stopped(130)
        found = {name: self._score(worked, name, str(seed)) for name in going}
        for cell in worked.cells.values():
            if cell.record["kind"] == "train":
                Store(self.options.store).drop_weights(cell.key)
        return found

    def _score(self, worked: Worked, variant: str, seed: str) -> float | None:
        cell_id = f"accuracy/{variant}/{seed}/{DENSE}"
        if cell_id in worked.cells:
            found = [m.value for m in worked.cells[cell_id].measurements if m.metric == self.suite.task.metric]
            return found[0] if found and found[0] is not None and math.isfinite(found[0]) else None
        if cell_id in worked.errors or train_id(variant, seed) in worked.errors:
            return None
        raise _Stopped(3)

    def _identity(self, loaded: LoadedSuite) -> str:
        """Return what names the storage: everything that decides a score; the number of trials is free to grow."""
        free = ("probes", "compressions", "compress_probes", "compare", "budget", "keep_weights", "description")
        return key_of(
            {
                "suite": {key: value for key, value in loaded.resolved.items() if key not in free},
                "variants": {name: variant.model_dump() for name, variant in self.suite.variants.items()},
                "data": data_fingerprint(on_validation(self.suite.data), loaded.path.parent),
                "model": model_fingerprint(self.suite.model, loaded.path.parent),
                "spaces": {name: [vars(option) for option in space] for name, space in self.spaces.items()},
                "seeds": self.seeds,
                "engine": ENGINE,
            }
        )


def _space(suite: Suite, variant: str, over: Sequence[str]) -> tuple[Range, ...]:
    if not over:
        rate = train_options(suite, variant).learning_rate
        return (Range("train.learning_rate", rate / AROUND, rate * AROUND),)
    options = [read_range(text, suite) for text in over]
    return tuple(option for option in options if applies(option, suite.variants[variant]))


def _own(suite: Suite, variant: str, space: Sequence[Range]) -> dict[str, Any]:
    """Return the variant's own values of the searched options, by key."""
    train: TrainOptions = train_options(suite, variant)
    own: dict[str, Any] = {}
    for option in space:
        kind, *rest = option.key.split(".")
        if kind == "train":
            own[option.key] = getattr(train, rest[0])
            continue
        for entry in suite.variants[variant].stabilizers:
            if rest[0] in entry:
                own[option.key] = Plugged.of("stabilizers", rest[0], entry[rest[0]]).options[rest[1]]
    return own


def _confirm(options: RunOptions, winners: dict[str, Any], folder: Path, search: _Search) -> Outcome:
    """Run the suite with each variant's winning values on its own seeds, none of which the search has used."""

    def adapt(loaded: LoadedSuite) -> LoadedSuite:
        return changed(loaded, {name: best["values"] for name, best in winners.items()})

    return run(replace(options, adapt=adapt, out=folder / "confirmation", max_seconds=search.seconds_left))


def _document(
    suite: Suite, search: TuneOptions, found: _Search, confirmation: Outcome | None, smoke: bool
) -> dict[str, Any]:
    return {
        "schema": 1,
        "suite": suite.name,
        "status": "incomplete" if confirmation is None else confirmation.verdict["status"],
        "smoke": smoke,
        "metric": f"{suite.task.metric} on the validation split",
        "budget": {"trials": search.trials, "seeds": found.seeds},
        "variants": {name: study.summary() for name, study in found.studies.items()},
        "storage": relative(found.storage),
        "fresh_seeds": labels(suite),
        "run": None if confirmation is None else relative(confirmation.folder.path),
        "verdict": None if confirmation is None else confirmation.verdict,
    }


def tune_text(document: Mapping[str, Any]) -> str:
    """Return the search for the terminal: what won in each variant, against its own values, and what it cost."""
    budget = document["budget"]
    lines = [
        f"{document['suite']}: {document['metric']}; {budget['trials']} trials for each variant, "
        f"up to {len(budget['seeds'])} trainings each, seeds {', '.join(map(str, budget['seeds']))}"
    ]
    for name, found in document["variants"].items():
        counts = found["counts"]
        told = f"{counts['complete']} finished, {counts['pruned']} given up, {counts['fail']} ended in an error"
        if found["winner"] is None:
            lines.append(f"  {name}: no winner yet ({told})")
            continue
        values = ", ".join(f"{key} = {_short(value)}" for key, value in found["winner"]["values"].items())
        first = next((t["score"] for t in found["trials"] if t["score"] is not None), None)
        own = "" if first is None else f", {first:.4f} at the first values"
        lines.append(f"  {name}: {values}  →  {found['winner']['score']:.4f}{own} ({told})")
    lines.append(
        "These scores chose the winners, so they are too good; the claims below are of runs on seeds "
        f"{', '.join(document['fresh_seeds'])}, which the search has not seen, on the test split."
    )
    return "\n".join(lines)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
