"""Early stopping, kept weights and the plateau: decided on the validation split, as the definitions say."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from stabbench.suite.train_options import EarlyStopping, Plateau
from stabbench.training.evaluation import Evaluations, Scores, Validation
from stabbench.training.schedules import PlateauSchedule


class Replayed(Validation):
    """Gives the scores it was told, one after the other."""

    def __init__(self, scores: list[tuple[float, float]]) -> None:
        self.left = list(scores)

    def scores(self, model: nn.Module, step: int) -> Scores:
        return Scores(step, *self.left.pop(0))


def run(scores: list[tuple[float, float]], stopping: EarlyStopping | None, model: nn.Module) -> tuple[int, Evaluations]:
    """Evaluate with growing weights until told to stop; return how many evaluations there were."""
    evaluations = Evaluations(Replayed(scores), stopping=stopping)
    for count in range(1, len(scores) + 1):
        with torch.no_grad():
            model.weight.fill_(count)  # type: ignore[operator]
        if evaluations.after(model, 10 * count, 0.0):
            return count, evaluations
    return len(scores), evaluations


@pytest.mark.parametrize(
    ("losses", "patience", "stops_after", "best"),
    [
        ([3.0, 2.0, 2.0, 1.0, 5.0], 1, 3, 2),
        ([3.0, 2.0, 2.0, 1.0, 5.0], 2, 5, 4),
        ([3.0, 4.0, 5.0, 6.0], 2, 3, 1),
        ([math.nan, 4.0, 3.0], 2, 3, 3),
        ([1.0, math.nan, math.nan], 2, 3, 1),
        ([math.nan, math.nan, math.nan], 2, 3, 1),
    ],
)
def test_it_stops_after_so_many_evaluations_without_a_new_best(
    losses: list[float], patience: int, stops_after: int, best: int
) -> None:
    count, evaluations = run([(x, 0.5) for x in losses], EarlyStopping(patience=patience), nn.Linear(1, 1, bias=False))

    assert count == stops_after
    assert evaluations.best is not None
    assert evaluations.best.step == 10 * best


def test_accuracy_must_rise_where_it_is_the_metric() -> None:
    scores = [(1.0, 0.5), (9.0, 0.6), (0.1, 0.6), (0.1, 0.59)]

    count, evaluations = run(scores, EarlyStopping(patience=2, metric="accuracy"), nn.Linear(1, 1, bias=False))

    assert (count, evaluations.best) == (4, Scores(20, 9.0, 0.6))


@pytest.mark.parametrize(("checkpoint", "weight", "step"), [("last", 4.0, 40), ("best", 2.0, 20)])
def test_the_last_weights_are_kept_or_those_of_the_best_evaluation(checkpoint: str, weight: float, step: int) -> None:
    model = nn.Linear(1, 1, bias=False)
    stopping = EarlyStopping(patience=2, checkpoint=checkpoint)  # type: ignore[arg-type]

    _, evaluations = run([(3.0, 0.5), (2.0, 0.5), (4.0, 0.5), (5.0, 0.5)], stopping, model)
    evaluations.restore()

    assert model.weight.item() == weight
    details = evaluations.details(40)
    assert (details["checkpoint"], details["checkpoint_step"], details["stopped_early"]) == (checkpoint, step, True)
    assert [row["loss"] for row in details["validation"]] == [3.0, 2.0, 4.0, 5.0]


@pytest.mark.parametrize(("watch", "factors"), [("training", [1.0, 0.5, 0.25]), ("validation", [1.0, 1.0, 1.0])])
def test_the_plateau_watches_the_loss_that_it_is_told_to(watch: str, factors: list[float]) -> None:
    schedule = PlateauSchedule(Plateau(watch=watch))  # type: ignore[arg-type]
    evaluations = Evaluations(Replayed([(3.0, 0.5), (2.0, 0.5), (1.0, 0.5)]), schedule, watch)
    found = []
    for step in range(3):
        assert not evaluations.after(nn.Linear(1, 1), step, 7.0)
        found.append(schedule(step))

    assert found == factors


def test_without_a_validation_split_nothing_is_recorded() -> None:
    evaluations = Evaluations()

    assert not evaluations.after(nn.Linear(1, 1), 5, 1.0)
    assert evaluations.details(5) == {}
