"""The search: equal budgets, only validation data, the same after an interruption; winners on seeds it has not seen."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stabbench.errors import ConfigurationError
from stabbench.planning.cells import cells
from stabbench.planning.selection import selected
from stabbench.records import Measurement
from stabbench.runner import RunOptions, load
from stabbench.search import studies, tune
from stabbench.search.tune import TuneOptions, tune_text
from stabbench.search.work import Worked

BEST = {"baseline": 2e-3, "stabilized": 6e-3}
Score = Callable[[str, float, str], float | None]


def peaked(variant: str, rate: float, seed: str) -> float:
    """A score with its peak at the variant's best rate, a little different for every seed."""
    return 0.9 - 0.2 * math.log10(rate / BEST[variant]) ** 2 + 0.001 * int(seed)


class Trained:
    """Stands in for the trainings and for the confirming run; keeps what it was asked for."""

    def __init__(self, score: Score = peaked, interrupt_after: int | None = None) -> None:
        self.score, self.left = score, interrupt_after
        self.asked: list[tuple[str, float, str]] = []
        self.loaded: list[Any] = []
        self.confirmed: Any = None

    def work(self, options: RunOptions) -> Worked:
        loaded = load(options)
        self.loaded.append(loaded)
        found, errors = {}, {}
        for cell in selected(cells(loaded), options.select):
            if cell.probe != "accuracy":
                continue
            if self.left is not None and self.left <= len(self.asked):
                return Worked({}, {}, True)
            rate = loaded.resolved["variants"][cell.variant]["train"]["learning_rate"]
            self.asked.append((cell.variant, rate, cell.seed))
            score = self.score(cell.variant, rate, cell.seed)
            if score is None:
                errors[cell.id] = {"message": "broke"}
            else:
                measured = [Measurement("accuracy", score, "share", "higher")]
                found[cell.id] = SimpleNamespace(measurements=measured, record={"kind": "probe"}, key="")
        return Worked(found, errors, False)  # type: ignore[arg-type]

    def run(self, options: RunOptions) -> Any:
        self.confirmed = load(options)
        verdict = {"status": "complete", "claims": []}
        return SimpleNamespace(verdict=verdict, exit_code=0, folder=SimpleNamespace(path=options.out))


@pytest.fixture
def searching(suite_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def search(trained: Trained, store: str = "a", file: Path = suite_file, **options: Any) -> dict[str, Any]:
        monkeypatch.setattr(tune, "work_only", trained.work)
        monkeypatch.setattr(tune, "run", trained.run)
        given = RunOptions(str(file), store=tmp_path / store / "store", out=tmp_path / store / "out")
        return tune.tune(given, TuneOptions(**options)).document

    return search


def test_every_variant_has_as_many_trials_its_own_values_first(searching: Callable[..., Any]) -> None:
    trained = Trained()

    found = searching(trained, trials=7)["variants"]

    for name, own in (("baseline", 3e-3), ("stabilized", 2e-3)):
        assert sum(found[name]["counts"].values()) == 7
        assert found[name]["trials"][0]["values"] == {"train.learning_rate": own}
        rates = [t["values"]["train.learning_rate"] for t in found[name]["trials"]]
        assert all(own / 5 <= rate <= own * 5 for rate in rates)
        assert len(set(rates)) == 7


def test_the_winner_has_the_best_mean_and_beats_the_own_values(searching: Callable[..., Any]) -> None:
    found = searching(Trained(), trials=20)["variants"]

    for name in BEST:
        complete = [t for t in found[name]["trials"] if t["state"] == "complete"]
        winner = found[name]["winner"]
        assert winner["score"] == max(t["score"] for t in complete) >= complete[0]["score"]
        assert winner["score"] == pytest.approx(sum(winner["scores"]) / 2)
        assert winner["values"]["train.learning_rate"] == pytest.approx(BEST[name], rel=0.5)


def test_trials_that_are_behind_are_given_up_before_their_last_training(searching: Callable[..., Any]) -> None:
    trained = Trained()

    found = searching(trained, trials=12, seeds=3)["variants"]

    for name in BEST:
        counts = found[name]["counts"]
        assert counts["pruned"] > 0
        trainings = sum(variant == name for variant, _, _ in trained.asked)
        assert trainings == sum(len(t["scores"]) for t in found[name]["trials"]) < 12 * 3
        assert all(len(t["scores"]) < 3 for t in found[name]["trials"] if t["state"] == "pruned")
        assert all(len(t["scores"]) == 3 for t in found[name]["trials"] if t["state"] == "complete")


def test_it_sees_validation_data_only_and_seeds_of_its_own(searching: Callable[..., Any]) -> None:
    trained = Trained()

    found = searching(trained, trials=3)

    for loaded in trained.loaded:
        assert loaded.suite.data.measure_on == "validation"
        assert set(loaded.suite.probes) == {"accuracy"}
    assert {seed for _, _, seed in trained.asked} == {"2", "3"}
    assert found["fresh_seeds"] == ["0", "1"]
    assert found["budget"] == {"trials": 3, "seeds": [2, 3]}


def test_the_winners_are_confirmed_as_the_suite_says_on_the_test_split(searching: Callable[..., Any]) -> None:
    trained = Trained()

    found = searching(trained, trials=4)

    suite = trained.confirmed.suite
    assert (suite.data.measure_on, suite.seeds, set(suite.probes)) == ("test", 2, {"accuracy", "noise"})
    for name in BEST:
        winner = found["variants"][name]["winner"]["values"]["train.learning_rate"]
        assert trained.confirmed.resolved["variants"][name]["train"]["learning_rate"] == winner
    assert found["status"] == "complete"
    assert "which the search has not seen" in tune_text(found)


def test_after_an_interruption_it_ends_as_it_would_have(searching: Callable[..., Any]) -> None:
    whole = searching(Trained(), "whole", trials=6)

    for stop in (1, 6, 13):
        stopped = searching(Trained(interrupt_after=stop), f"part-{stop}", trials=6)
        assert stopped["status"] == "incomplete"
        resumed = searching(Trained(), f"part-{stop}", trials=6)
        assert resumed["variants"] == whole["variants"]


def test_more_trials_go_on_from_those_that_there_are(searching: Callable[..., Any]) -> None:
    first = searching(Trained(), trials=3)["variants"]
    trained = Trained()

    second = searching(trained, trials=5)["variants"]

    for name in BEST:
        assert second[name]["trials"][:3] == first[name]["trials"]
        assert len({rate for variant, rate, _ in trained.asked if variant == name}) == 2


def test_a_training_that_ends_in_an_error_costs_its_trial_and_nothing_else(searching: Callable[..., Any]) -> None:
    def breaks(variant: str, rate: float, seed: str) -> float | None:
        return None if variant == "baseline" and rate < 3e-3 else peaked(variant, rate, seed)

    found = searching(Trained(breaks), trials=8)["variants"]

    assert found["baseline"]["counts"]["fail"] > 0
    assert sum(found["baseline"]["counts"].values()) == sum(found["stabilized"]["counts"].values()) == 8
    assert found["baseline"]["winner"]["values"]["train.learning_rate"] >= 3e-3


def test_options_of_a_stabilizer_are_searched_where_it_is(searching: Callable[..., Any]) -> None:
    over = ("train.learning_rate=1e-3..1e-2", "stabilizers.warmup.fraction=0..0.5", "train.epochs=2,3")

    found = searching(Trained(), trials=4, over=over)["variants"]

    assert set(found["baseline"]["space"]) == {"train.learning_rate", "train.epochs"}
    assert set(found["stabilized"]["space"]) == {"train.learning_rate", "stabilizers.warmup.fraction", "train.epochs"}
    first = found["stabilized"]["trials"][0]["values"]
    assert first["stabilizers.warmup.fraction"] == 0.2, "its own"
    assert first["train.epochs"] in (2, 3), "its own, 4, is not among the choices"


def test_without_a_validation_split_nothing_is_searched(searching: Callable[..., Any], edited: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"give data\.validation, such as"):
        searching(Trained(), file=edited(", validation: 32", ""))


def test_without_optuna_it_says_what_to_install(searching: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'stabbench\[tune\]'"):
        searching(Trained())

    with pytest.raises(ConfigurationError):
        studies.require_optuna()


@pytest.mark.slow
def test_a_search_on_a_tiny_model_with_a_test_file_that_is_not_there_until_the_end(tmp_path: Path) -> None:
    """Files: the search must not read the test split, so that it can be missing; the confirmation needs it."""
    words = ["good", "great", "fine", "bad", "dull", "poor"]
    rows = [f"the film was {words[i % 6]} {i}\t{int(i % 6 > 2)}" for i in range(60)]
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabel", *rows]) + "\n")
    (tmp_path / "s.yaml").write_text(
        "schema: 1\nname: s\ndata:\n  train: {path: train.tsv}\n  validation: {fraction: 0.3}\n"
        "  test: {path: test.tsv}\nmodel: builtin:tiny\nseeds: 2\n"
        "train: {epochs: 2, batch_size: 8, learning_rate: 2e-3, max_length: 16}\n"
        "variants: {baseline: {}, clipped: {stabilizers: [{clip_grad_norm: {}}]}}\n"
    )
    command = [sys.executable, "-m", "stabbench", "tune", "s.yaml", "--trials", "2", "--tuning-seeds", "1", "--json"]

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, "--out", "o"], cwd=tmp_path, capture_output=True, text=True, check=False)

    missing = run()
    assert missing.returncode == 2
    assert "test.tsv" in missing.stderr
    (tmp_path / "test.tsv").write_text("\n".join(["text\tlabel", *(r.replace("film", "plot") for r in rows)]) + "\n")
    done = run()

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"]["status"] == "complete"
    assert all(v["counts"] == {"complete": 2, "pruned": 0, "fail": 0} for v in found["variants"].values())
    weights = list((tmp_path / ".stabbench" / "store" / "cells").glob("*/*/model"))
    assert len(weights) == 4, "those of the search are not kept"
