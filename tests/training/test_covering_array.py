"""Every pair of stabilizer, optimizer and schedule that is not refused trains: all pairs in few runs; all in `soak`."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from stabbench import registry
from stabbench.data.example import Dataset, Example
from stabbench.models.loading import load_subject
from stabbench.seeding import TrialSeeds
from stabbench.suite.refusals import refusals
from stabbench.suite.train_options import OptimizerName, ScheduleName, TrainOptions
from stabbench.training.fine_tune import fine_tune
from stabbench.training.request import TrainRequest

Row = tuple[str, ...]
STABILIZERS = registry.names("stabilizers")
#: A factor for each stabilizer (used or not), one for the optimizer, one for the schedule.
FACTORS: Mapping[str, Sequence[str]] = {
    **{name: ("", name) for name in STABILIZERS},
    "optimizer": get_args(OptimizerName),
    "schedule": get_args(ScheduleName),
}
EXAMPLES = tuple(Example(f"t:{i}", f"the film was {w}", i % 2) for i, w in enumerate(["bad", "good"] * 4))
DATA = Dataset(EXAMPLES, EXAMPLES, EXAMPLES, ("no", "yes"), "f")


def refused(first: str, second: str) -> bool:
    """Whether two levels, of different factors, may not stand in one variant."""
    for one, other in ((first, second), (second, first)):
        if one in STABILIZERS:
            if other in STABILIZERS:
                mine, its = (set(registry.card("stabilizers", name).traits["exclusive"]) for name in (one, other))
                if mine & its or other in refusals(one):
                    return True
            elif {f"optimizer={other}", f"schedule={other}"} & set(refusals(one)):
                return True
    return False


def pairwise_rows(factors: Mapping[str, Sequence[str]], seed: int = 0) -> list[Row]:
    """Return rows, one level for each factor, in which every allowed pair of levels stands and no refused one.

    Greedy: each row begins with a pair that is missing and takes, factor by factor, the allowed level that covers most.
    """
    names = list(factors)
    missing = set(allowed_pairs(factors))
    rng, rows = random.Random(seed), []
    while missing:
        (i, a), (j, b) = min(missing)
        row: dict[int, str] = {i: a, j: b}
        for k in rng.sample([k for k in range(len(names)) if k not in row], len(names) - 2):
            fits = [level for level in factors[names[k]] if not any(refused(level, other) for other in row.values())]
            row[k] = max(fits, key=lambda level: sum(_pair(k, level, m, x) in missing for m, x in row.items()))
        rows.append(tuple(row[k] for k in range(len(names))))
        missing -= {_pair(m, row[m], n, row[n]) for m, n in itertools.combinations(row, 2)}
    return rows


def allowed_pairs(factors: Mapping[str, Sequence[str]]) -> Iterator[tuple[tuple[int, str], tuple[int, str]]]:
    for (i, first), (j, second) in itertools.combinations(enumerate(factors.values()), 2):
        yield from (((i, a), (j, b)) for a in first for b in second if not refused(a, b))


def _pair(i: int, a: str, j: int, b: str) -> tuple[tuple[int, str], tuple[int, str]]:
    return ((i, a), (j, b)) if i < j else ((j, b), (i, a))


ROWS = pairwise_rows(FACTORS)


@pytest.fixture
def train_row(tiny_model: Path, tmp_path: Path) -> Callable[[Row], None]:
    def train(row: Row) -> None:
        *stabilizers, optimizer, schedule = row
        options: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 1e-3, "max_length": 16}
        options |= {"precision": "fp32", "optimizer": optimizer, "schedule": schedule}
        used = [(name, {}) for name in stabilizers if name]
        request = TrainRequest(
            tiny_model, DATA, TrainOptions(**options), TrialSeeds(0, 0), tmp_path, stabilizers=used, monitors={}
        )
        result = fine_tune(request)
        assert result.details["failed_reason"] != "the training loss became NaN or infinite"
        assert load_subject(tmp_path / "model").probabilities(["good film"]).shape == (1, 2)

    return train


def test_the_rows_hold_every_allowed_pair_and_no_refused_one() -> None:
    covered = {_pair(i, r[i], j, r[j]) for r in ROWS for i, j in itertools.combinations(range(len(r)), 2)}

    assert covered == set(allowed_pairs(FACTORS))
    assert not any(refused(a, b) for row in ROWS for a, b in itertools.combinations(row, 2) if a and b)
    assert len(ROWS) <= 4 * len(FACTORS["optimizer"]) * len(FACTORS["schedule"])


def test_all_pairs_of_a_known_design_need_no_more_than_a_few_rows_above_the_least() -> None:
    """3⁴ needs 9 rows at least (an orthogonal array); a greedy choice may need a few more, the whole grid is 81."""
    rows = pairwise_rows({name: [f"{name}{level}" for level in range(3)] for name in "abcd"})

    assert 9 <= len(rows) <= 14


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "+".join(name for name in row if name))
def test_a_row_of_the_covering_array_trains(row: Row, train_row: Callable[[Row], None]) -> None:
    train_row(row)


@pytest.mark.soak
@pytest.mark.parametrize("schedule", get_args(ScheduleName))
@pytest.mark.parametrize("optimizer", get_args(OptimizerName))
@pytest.mark.parametrize("pair", list(itertools.combinations(STABILIZERS, 2)), ids="+".join)
def test_every_pair_of_stabilizers_trains_with_every_optimizer_and_schedule(
    pair: tuple[str, str], optimizer: str, schedule: str, train_row: Callable[[Row], None]
) -> None:
    row = (*pair, optimizer, schedule)
    if any(refused(a, b) for a, b in itertools.combinations(row, 2)):
        pytest.skip("refused by validation")
    train_row(row)
