"""One variant's search: trials asked of optuna, kept in a file, the same again after an interruption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from stabbench.errors import ConfigurationError
from stabbench.search.ranges import Range
from stabbench.seeding import derive

STARTUP = 4
"""Finished trials of a variant before one can be given up."""


def require_optuna() -> ModuleType:
    """Return optuna, with its own log turned down.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigurationError(["tune needs the package 'optuna': pip install 'stabbench[tune]'"]) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    module: ModuleType = optuna
    return module


class Trial:
    """One choice of values, while it is tried.

    Attributes:
        values: key → value.
        given_up: whether it is behind the others' median, or has failed.
    """

    def __init__(self, study: Any, trial: Any, values: dict[str, Any], trainings: int) -> None:
        self._study, self._trial, self._trainings = study, trial, trainings
        self.values = values
        self.given_up = False
        self._scores: list[float] = []
        self._failed = False

    def report(self, score: float | None) -> None:
        """Tell the score of the next training, None where it ended in an error; decide whether to go on."""
        if score is None:
            self._failed = self.given_up = True
            return
        self._scores.append(score)
        self._trial.report(self._mean, len(self._scores))
        self.given_up = len(self._scores) < self._trainings and bool(self._trial.should_prune())

    def finish(self) -> None:
        """Close the trial: with the mean score, as given up, or as failed, which counts against the budget too."""
        states = require_optuna().trial.TrialState
        self._trial.set_user_attr("scores", self._scores)
        if self._failed:
            self._trial.set_user_attr("error", True)
            self._study.tell(self._trial, state=states.FAIL)
        elif self.given_up:
            self._study.tell(self._trial, state=states.PRUNED)
        else:
            self._study.tell(self._trial, self._mean)

    @property
    def _mean(self) -> float:
        return math.fsum(self._scores) / len(self._scores)


class Study:
    """The search of one variant: tree-structured Parzen estimator, median rule for giving up, the own values first.

    Source: Bergstra et al. 2011 (TPE), as in optuna. Each trial's draws are seeded by the study and the number of
    trials before it, so that a search that is interrupted and goes on tries what an uninterrupted one would.
    """

    def __init__(
        self, storage: Path, variant: str, space: Sequence[Range], own: dict[str, Any], trainings: int
    ) -> None:
        optuna = require_optuna()
        storage.parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.journal.JournalFileBackend(str(storage))
        self.variant, self.space, self.trainings = variant, tuple(space), trainings
        self._optuna = optuna
        self._study = optuna.create_study(
            storage=optuna.storages.JournalStorage(backend),
            study_name=variant,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=0),
        )
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial({key: value for key, value in own.items() if self._inside(key, value)})
        self._close_interrupted()

    def spent(self) -> int:
        """Return how many trials count against the budget: finished, given up, or ended in an error."""
        return len(self._counted())

    def ask(self) -> Trial:
        """Return the next trial."""
        self._study.sampler = self._optuna.samplers.TPESampler(
            seed=derive("tune", self.variant, self.spent()) % 2**32, n_startup_trials=STARTUP
        )
        trial = self._study.ask()
        values = {option.key: self._suggest(trial, option) for option in self.space}
        return Trial(self._study, trial, values, self.trainings)

    def best(self) -> dict[str, Any] | None:
        """Return the values, the mean validation score and the scores of the best finished trial, or None."""
        complete = [t for t in self._counted() if t.state == self._optuna.trial.TrialState.COMPLETE]
        if not complete:
            return None
        best = max(complete, key=lambda trial: (trial.value, -trial.number))
        return {"values": dict(best.params), "score": best.value, "scores": best.user_attrs["scores"]}

    def summary(self) -> dict[str, Any]:
        """Return what was tried and what came of it, as JSON."""
        trials = [
            {
                "values": dict(trial.params),
                "state": trial.state.name.lower(),
                "score": trial.value,
                "scores": trial.user_attrs.get("scores", []),
            }
            for trial in self._counted()
        ]
        counts = {name: sum(t["state"] == name for t in trials) for name in ("complete", "pruned", "fail")}
        return {
            "winner": self.best(),
            "space": {option.key: _described(option) for option in self.space},
            "counts": counts,
            "trials": trials,
        }

    def _counted(self) -> list[Any]:
        states = self._optuna.trial.TrialState
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state in (states.COMPLETE, states.PRUNED)
            or (trial.state == states.FAIL and trial.user_attrs.get("error"))
        ]

    def _close_interrupted(self) -> None:
        """Close trials that an interruption left open, and put the same values in front of the queue."""
        states = self._optuna.trial.TrialState
        for trial in self._study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            self._study.tell(trial.number, state=states.FAIL)
            if trial.params:
                self._study.enqueue_trial(trial.params)

    def _inside(self, key: str, value: Any) -> bool:
        """Return whether an own value lies in the range; one outside is not tried."""
        option = next(option for option in self.space if option.key == key)
        if option.choices:
            return value in option.choices
        number = isinstance(value, int | float) and option.low is not None and option.high is not None
        return number and (option.low or 0.0) <= value <= (option.high or 0.0)

    def _suggest(self, trial: Any, option: Range) -> Any:
        if option.choices:
            return trial.suggest_categorical(option.key, list(option.choices))
        if option.whole:
            return trial.suggest_int(option.key, int(option.low or 0), int(option.high or 0), log=option.logarithmic)
        return trial.suggest_float(option.key, option.low, option.high, log=option.logarithmic)


def _described(option: Range) -> Any:
    return list(option.choices) if option.choices else [option.low, option.high]
