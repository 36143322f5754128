"""Every public function of the package, on input it cannot like: an answer or a reason, never a warning and a number.

Warnings are errors in this suite (pyproject.toml), so a warning fails by itself.
"""

import importlib
import inspect
import math
import pkgutil
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import stabbench.statistics
from stabbench.statistics.result import Estimate, Significance
from stabbench.statistics.sensitivity import Point

NAN, INF = math.nan, math.inf
SAMPLES = {
    "empty": [],
    "one": [0.3],
    "two": [0.3, 0.5],
    "two equal": [0.4, 0.4],
    "three": [0.1, 0.5, 0.2],
    "constant": [0.7] * 6,
    "zeros": [0.0] * 6,
    "ties": [0.5, 0.5, 0.6, 0.6, 0.6, 0.4],
    "nan": [0.5, NAN, 0.6],
    "all nan": [NAN] * 5,
    "infinite": [INF, 0.2, 0.3, 0.1, 0.5],
    "both infinities": [INF, -INF, 0.0],
    "negative": [-0.5, -0.2, -0.9, 0.1, 0.2],
    "almost constant": [0.1 + 0.2, 0.3, 0.3, 0.3, 0.3],
    "huge": [1e308, -1e308, 1e308, 1e307, -1e306],
    "tiny": [1e-320, 2e-320, 0.0, 1e-310, 3e-320],
    "failed runs": [0.7, 0.71, 0.5, 0.72, 0.5, 0.69],
    "many": list(np.linspace(-1, 1, 30)),
}
TABLES = {
    "no seed": np.zeros((0, 4)),
    "no text": np.zeros((4, 0)),
    "one cell": np.ones((1, 1)),
    "one seed": np.array([[1.0, 0.0, 1.0]]),
    "one text": np.array([[1.0], [0.0], [1.0]]),
    "two by two": np.array([[1.0, 0.0], [0.0, 1.0]]),
    "three": np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]),
    "all right": np.ones((6, 6)),
    "all wrong": np.zeros((25, 8)),
    "columns constant": np.tile([0.0, 1.0, 1.0, 0.0, 1.0, 0.0], (6, 1)),
    "rows constant": np.tile([[0.0], [1.0], [1.0], [0.0], [1.0]], (1, 6)),
    "nan": np.where(np.eye(6) > 0, NAN, 1.0),
    "infinite": np.where(np.eye(6) > 0, INF, 1.0),
    "huge": np.where(np.eye(25) > 0, 1e308, -1e308),
    "many": (np.arange(25 * 9).reshape(25, 9) % 7 < 4).astype(float),
    "not a table": np.ones(5),
}
PAIRS = [(a, b) for a in SAMPLES.values() for b in SAMPLES.values()]
ALIGNED = [(a, b) for a, b in PAIRS if len(a) == len(b)]
TABLE_PAIRS = [(a, b) for a in TABLES.values() for b in TABLES.values()]
COUNTS = [((a, n), (b, m)) for n in (0, 1, 2, 5) for m in (0, 1, 3) for a in {0, n} for b in {0, m}]
NUMBERS = [0.0, 1e-12, 0.5, 1.0, -1.0, 40.0, NAN, INF, -INF]
BITS = [np.array(bits, bool) for bits in ([], [0], [1], [0, 1, 1], [1] * 40, [0] * 40, [1, 0] * 20)]
INTEGER = {
    name: np.nan_to_num(table, nan=2, posinf=3, neginf=0).clip(0, 3).astype(int) for name, table in TABLES.items()
}
MATRICES = [table for table in INTEGER.values() if table.ndim == 2]
# Points of a sweep: none, none finished, all failed, none failed, one run each, ties.
GRIDS = [
    [Point(float(at + 1), (0.5,) * len(row), row) for at, row in enumerate(rows)]
    for rows in (
        [], [()], [(True,)], [(False,)], [(True, True), (True,)], [(False,), (True,)], [(False, True)] * 3,
        [(), (False,)],
    )
]  # fmt: skip
INPUT = {
    "anova.mean_squares": [(t,) for t in TABLES.values() if t.ndim == 2],
    "bootstrap.discordant": [(a, b) for a in BITS for b in BITS if len(a) == len(b)],
    "bootstrap.multi_bootstrap": [(a, b) for a, b in TABLE_PAIRS],
    "bootstrap.paired_bootstrap": [(a, b) for a in BITS for b in BITS],
    "components.resampled_components": [(t,) for t in TABLES.values()],
    "components.variance_components": [(t,) for t in TABLES.values()],
    "crossed.crossed_difference": TABLE_PAIRS,
    "crossed.crossed_mean": [(t,) for t in TABLES.values()],
    "crossed.crossed_rate": [*((t,) for t in TABLES.values()), *TABLE_PAIRS],
    "crossed.crossed_rate_difference": [((a, b), (b, a)) for a, b in TABLE_PAIRS],
    "failure_power.boschloo_table": [(n,) for n in (1, 2, 3)],
    "failure_power.failure_power": [(a, b, n) for a in (0.0, 0.3, 1.0, NAN) for b in (0.0, 0.3, 1.0) for n in range(4)],
    "failure_power.needed_seeds_for_failures": [(a, b) for a in (0.0, 1.0, NAN) for b in (0.0, 1.0)],
    "failures.boschloo": COUNTS,
    "failures.mcnemar": [(0, 0), (1, 0), (0, 6), (5, 5), (2000, 3000)],
    "failures.newcombe": COUNTS,
    "multiplicity.holm_levels": [([],), ([None],), ([None, 0.0, 1.0],), ([0.01] * 3,)],
    "paired.equivalence": [(x,) for x in SAMPLES.values()],
    "paired.equivalence_test": [(x, margin) for x in SAMPLES.values() for margin in NUMBERS],
    "paired.log_ratios": ALIGNED,
    "paired.paired_log_ratio": ALIGNED,
    "paired.paired_t": [(x,) for x in SAMPLES.values()],
    "paired.sign_flip": [*((x,) for x in SAMPLES.values()), ([0.1] * 2000,)],
    "power.boschloo_floor": [(n,) for n in (0, 1, 5, 5000)],
    "power.detectable_effect": [(n,) for n in (0, 1, 2, 3, 500)],
    "power.needed_seeds": [(e,) for e in NUMBERS],
    "power.paired_t_power": [(e, n) for e in NUMBERS for n in (0, 1, 2, 3, 400)],
    "power.reachable_verdicts": [(kind, n) for kind in ("level", "robustness", "failure", "spread") for n in range(4)],
    "power.sign_flip_floor": [(n,) for n in (0, 1, 5, 5000)],
    "power.unpaired_t_power": [(e, n) for e in NUMBERS for n in (0, 1, 2, 3, 400)],
    "proportions.clopper_pearson": [(k, n) for n in (0, 1, 3) for k in {0, n}],
    "proportions.wilson": [(k, n) for n in (0, 1, 3) for k in {0, n}],
    "result.excludes_zero": [(None,), ((0.0, 0.0),), ((-1.0, INF),)],
    "result.within": [(None, 1.0), ((0.0, 0.0), None), ((-1.0, 1.0), NAN)],
    "seeds.disagreement": [(t,) for t in MATRICES],
    "seeds.excess_variance": [(t > 0,) for t in MATRICES],
    "seeds.expected_maximum": [(x, k) for x in SAMPLES.values() for k in (0, 1, 3, 99)],
    "seeds.expected_maximum_with_replacement": [(x, k) for x in SAMPLES.values() for k in (0, 1, 3, 99)],
    "seeds.interquartile_mean": [(x,) for x in SAMPLES.values()],
    "seeds.probability_of_improvement": PAIRS,
    "sensitivity.best_score": [(grid,) for grid in GRIDS],
    "sensitivity.half_failure": [(grid,) for grid in GRIDS],
    "sensitivity.non_decreasing": [([], []), ([0.5], [1.0]), ([1.0, 0.0], [2.0, 2.0]), ([0.0] * 3, [1.0] * 3)],
    "sensitivity.sensitivity": [(grid, 0.5) for grid in GRIDS],
    "sensitivity.stability_margin": [(grid,) for grid in GRIDS],
    "spread.brown_forsythe": PAIRS,
    "spread.log_sd_ratio": PAIRS,
    "spread.seeds_to_settle": [(x,) for x in (*NUMBERS, None, 800.0)],
    "spread.spread_permutation": [(a, b) for a, b in PAIRS if math.comb(len(a) + len(b), len(a)) <= 20_000],
    "two_samples.welch_t": PAIRS,
}
NO_INTERVAL = {"seeds.excess_variance"}
"""Their method has no interval, which needs no reason."""
NAN_ONLY_FROM_NAN = {"power.paired_t_power", "power.unpaired_t_power", "failure_power.failure_power"}


def public_functions():
    found = {}
    for module in pkgutil.iter_modules(stabbench.statistics.__path__):
        loaded = importlib.import_module(f"stabbench.statistics.{module.name}")
        for name, function in vars(loaded).items():
            own = getattr(function, "__module__", "") == loaded.__name__
            if own and not name.startswith("_") and callable(function) and not inspect.isclass(function):
                found[f"{module.name}.{name}"] = function
    return found


FUNCTIONS = public_functions()


def check(name: str, answer, arguments) -> None:
    """An estimate, a p-value or a plain number must be there, or say why not."""
    if isinstance(answer, Estimate):
        check_estimate(name, answer)
    elif isinstance(answer, Significance):
        assert (answer.p is None) == bool(answer.reason), answer
        assert answer.p is None or 0 <= answer.p <= 1
        assert answer.floor is None or 0 <= answer.floor <= 1
    elif is_dataclass(answer):
        for field in fields(answer):
            check(name, getattr(answer, field.name), arguments)
    elif isinstance(answer, float) and math.isnan(answer):
        flat = np.concatenate([np.ravel(np.asarray(a, float)) for a in arguments])
        assert name in NAN_ONLY_FROM_NAN or name == "seeds.interquartile_mean", answer
        assert not np.isfinite(flat).all(), (name, arguments)


def check_estimate(name: str, answer: Estimate) -> None:
    known = {answer.value is None, answer.low is None, answer.high is None}
    assert answer.reason or known == {False} or name in NO_INTERVAL, answer
    assert (answer.low is None) == (answer.high is None), answer
    assert answer.value is not None or (answer.interval is None and answer.p is None), answer
    assert answer.p is None or 0 <= answer.p <= 1, answer
    for number in (answer.value, answer.low, answer.high, answer.p):
        assert number is None or not math.isnan(number), answer
    if answer.interval is not None:
        slack = 1e-12 * max(map(abs, answer.interval), default=0.0)
        assert answer.low - slack <= answer.high, answer


def test_every_public_function_stands_in_the_list_and_no_other() -> None:
    # Sequential designs are held to their own laws.
    assert {name for name in FUNCTIONS if not name.startswith("sequential.")} == set(INPUT)


@pytest.mark.parametrize("name", sorted(INPUT))
def test_awkward_input_has_an_answer_or_a_reason(name: str) -> None:
    for arguments in INPUT[name]:
        check(name, FUNCTIONS[name](*arguments), arguments)
