"""Adaptive seeds look by look, with a store that is filled by hand instead of by training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from stabbench.errors import ConfigurationError
from stabbench.execution.collect import counts
from stabbench.execution.looks import Looks
from stabbench.planning.keys import cell_key
from stabbench.planning.plan import describe, make_plan
from stabbench.records import Cell, Measurement, Row
from stabbench.store.cells import Store
from stabbench.suite.load import load_suite

SUITE = """\
schema: 1
name: p
data: {source: builtin:tiny, train: 32, test: 400}
model: builtin:tiny
seeds: {min: 6, max: 25, until: accuracy}
variants: {baseline: {}, stabilized: {stabilizers: [{clip_grad_norm: {max_norm: 1.0}}]}}
probes: {accuracy: {}, latency: {processes: 2}}
compare: {primary: [accuracy]}
"""
HASHES = {"init": "i", "order": ["a"], "dropout": "d"}
Accuracy = Callable[[str, int], float]


def gain(mean: float) -> Accuracy:
    """Accuracies in which the candidate gains `mean` on average, with an SD of 0.02; the same numbers each time."""
    noise = np.random.default_rng(12).normal(0, 0.02, 25)
    noise -= noise[:6].mean()
    return lambda variant, seed: 0.6 + (mean + float(noise[seed]) if variant == "stabilized" else 0.0)


class Study:
    """A suite, its store, and a worker that finishes cells at once."""

    def __init__(self, folder: Path, text: str = SUITE) -> None:
        (folder / "p.yaml").write_text(text)
        self.loaded = load_suite(str(folder / "p.yaml"))
        self.store = Store(folder / "store")

    def looks(self, select: str | None = None) -> Looks:
        return Looks(make_plan(self.loaded, self.store), self.store, select)

    def do(self, looks: Looks, cells: Iterable[Cell], accuracy: Accuracy, lost: Iterable[str] = ()) -> dict[str, str]:
        """Finish cells; return those that were to be lost as errors."""
        errors = {}
        for cell in cells:
            # The weights of a trial made here are called by its id.
            key = cell_key(cell, {parent: parent for parent in cell.parents if parent not in errors})
            if cell.id in lost or key is None:
                errors[cell.id] = "lost"
                continue
            with self.store.draft(key) as draft:
                rows, details = [], {}
                if cell.kind == "train":
                    details = {"failed": False, "hashes": HASHES, "weights": cell.id, "classes": ["a", "b"]}
                    rows = [
                        Row(cell.variant, cell.seed, "dense", "train", Measurement("train.failed", 0.0, "", "lower"))
                    ]
                if cell.probe == "accuracy":
                    value = accuracy(cell.variant, int(cell.seed))
                    np.savez(draft / "predictions.npz", label=np.arange(4) % 2, predicted=np.zeros(4))
                    rows = [
                        Row(cell.variant, cell.seed, "dense", "accuracy", Measurement("accuracy", value, "", "higher"))
                    ]
                self.store.finish(draft, key, cell, rows, details, 1.0, {})
        return errors

    def run(self, accuracy: Accuracy, select: str | None = None, lost: Iterable[str] = ()) -> tuple[Looks, list[str]]:
        """Do what the runner does; return the looks and the cells in the order in which they were done."""
        looks, errors, done = self.looks(select), {}, []
        while True:
            todo = looks.todo(errors)
            errors |= self.do(looks, todo, accuracy, lost)
            done += [cell.id for cell in todo]
            if not looks.advance(errors):
                return looks, done


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_a_large_effect_stops_early_and_only_its_seeds_were_planned(study: Study) -> None:
    looks, done = study.run(gain(0.05))

    assert looks.judged is not None
    assert (looks.judged["ending"], looks.judged["look"], looks.judged["seeds"]) == ("decided", 2, 9)
    assert looks.judged["text"] == "stopped at look 2 of 5: 9 of 25 seeds, 64 % of the trials saved: accuracy improved"
    assert {cell.seed for cell in looks.plan.cells if cell.seed} == {str(seed) for seed in range(9)}
    assert set(done) == {cell.id for cell in looks.plan.cells}
    numbers = counts(looks.plan.cells, dict.fromkeys(done), looks.plan.cached, ())
    assert numbers == {"planned": 9 * 2 * 2 + 1, "cached": 0, "done": 37, "errors": 0, "pending": 0}


def test_panels_wait_until_no_look_follows(study: Study) -> None:
    _, done = study.run(gain(0.05))

    assert done[-1] == "latency"
    assert done.count("latency") == 1


def test_no_effect_is_given_up_before_all_seeds_are_run(study: Study) -> None:
    looks, _ = study.run(lambda variant, seed: 0.6 + (0.2 * (-1) ** seed if variant == "stabilized" else 0.0))

    assert looks.judged is not None
    assert looks.judged["ending"] == "futile"
    assert looks.judged["seeds"] < 25
    assert "the chance to decide accuracy with all seeds is" in looks.judged["text"]


def test_an_effect_at_the_edge_takes_all_seeds(study: Study) -> None:
    # Large enough to hope for, small enough never to be sure: every other pair loses as much as the next one gains.
    looks, _ = study.run(lambda variant, seed: 0.6 + (0.04 + 0.12 * (-1) ** seed if variant == "stabilized" else 0.0))

    assert looks.judged is not None
    assert (looks.judged["ending"], looks.judged["seeds"]) == ("last look", 25)
    assert looks.judged["text"].startswith("all 25 seeds were run (look 5 of 5)")


def test_the_same_command_again_does_nothing_and_ends_the_same(study: Study) -> None:
    first, _ = study.run(gain(0.05))

    again = study.looks()
    before = again.judged
    looks, done = study.run(gain(0.05))

    assert again.todo() == []
    assert before == first.judged == looks.judged
    assert done == []
    assert looks.plan.cached == {cell.id for cell in looks.plan.cells}


@pytest.mark.parametrize("kept", [1, 24, 30, 36])
def test_a_run_cut_off_anywhere_ends_as_one_that_was_not(study: Study, tmp_path: Path, kept: int) -> None:
    whole, done = study.run(gain(0.05))
    (tmp_path / "other").mkdir()
    cut = Study(tmp_path / "other")
    started = cut.looks()
    left = kept
    while left > 0:
        todo = started.todo()[:left]
        cut.do(started, todo, gain(0.05))
        left -= len(todo)
        if not started.todo() and not started.advance({}):
            break

    looks, rest = cut.run(gain(0.05))

    assert looks.judged == whole.judged
    assert sorted(rest) == sorted(set(done) - set(done[:kept]))


def test_time_that_ran_out_leaves_the_cells_of_the_look_pending_and_no_more(study: Study) -> None:
    looks = study.looks()
    study.do(looks, looks.todo(), gain(0.05))
    looks.advance({})

    assert looks.advance({})
    assert not looks.advance({})

    assert looks.judged is not None
    assert (looks.judged["ending"], looks.judged["seeds"]) == ("blocked", 9)
    assert len(looks.todo()) == 3 * 2 * 2 + 1
    assert "cannot be judged (3 of 9 seed pairs were not measured)" in looks.judged["text"]


def test_a_broken_cell_of_the_claim_stops_the_looks_and_is_tried_again(study: Study) -> None:
    looks, _ = study.run(gain(0.05), lost=["accuracy/baseline/2/dense"])

    assert looks.judged is not None
    assert (looks.judged["ending"], looks.judged["seeds"]) == ("blocked", 6)
    again, done = study.run(gain(0.05))
    assert again.judged is not None
    assert (again.judged["ending"], done[0]) == ("decided", "accuracy/baseline/2/dense")


def test_unmatched_trials_stop_the_looks(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = study.looks()
    for cell in looks.todo():
        monkeypatch.setitem(HASHES, "init", cell.id)
        study.do(looks, [cell], gain(0.05))
    looks.advance({})

    assert looks.judged is not None
    assert (looks.judged["ending"], looks.ended) == ("blocked", True)
    assert "unmatched trials" in looks.judged["text"]


def test_a_selection_that_the_claim_can_be_judged_by_takes_the_same_looks(study: Study) -> None:
    looks, done = study.run(gain(0.05), select="probe=accuracy")

    assert looks.judged is not None
    assert (looks.judged["ending"], looks.judged["seeds"]) == ("decided", 9)
    assert "latency" not in done


def test_a_selection_without_the_claim_does_its_part_of_the_first_look(study: Study) -> None:
    looks, done = study.run(gain(0.05), select="kind=train")

    assert looks.judged is not None
    assert (looks.judged["ending"], len(done)) == ("blocked", 12)


def test_a_selection_of_later_seeds_is_a_mistake(study: Study) -> None:
    with pytest.raises(ConfigurationError, match=r"leaves nothing of the first look \(seeds 0 … 5\)"):
        study.looks("seed=7,kind=train")


def test_fresh_starts_at_the_first_look_whatever_is_in_the_store(study: Study) -> None:
    study.run(gain(0.05))

    looks = Looks(make_plan(study.loaded, study.store, fresh=True), study.store, fresh=True)

    assert (looks.judged, looks.plan.cached, len(looks.plan.cells)) == (None, frozenset(), 6 * 2 * 2 + 1)


def test_fixed_seeds_are_one_look(tmp_path: Path) -> None:
    study = Study(tmp_path, SUITE.replace("{min: 6, max: 25, until: accuracy}", "3"))

    looks, done = study.run(gain(0.05))

    assert looks.summary() is None
    assert len(done) == len(looks.plan.cells) == 3 * 2 * 2 + 1


def test_the_plan_tells_the_looks_the_most_and_the_expected_cells(study: Study) -> None:
    content = describe(study.looks().most, study.store, jobs=1)

    assert content["formula"].startswith("2 variants × at most 25 seeds × (train + accuracy)")
    assert content["looks"]["seeds"] == [6, 9, 13, 18, 25]
    assert content["looks"]["most_cells"] == content["planned"] == 101
    expected = content["looks"]["expected_cells"]
    # By simulation (reports/statistics/sequential.md): 72 % of the trials without an effect, 53 % at 1.2 SD.
    assert expected["0"] == pytest.approx(0.72 * 100 + 1, abs=2)
    assert expected["1.2"] == pytest.approx(0.53 * 100 + 1, abs=2)
