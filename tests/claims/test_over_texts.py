"""What a claim about accuracy says of new texts, and of failed runs among those compared."""

import numpy as np
import pytest

from stabbench.claims.build import build_claims
from stabbench.claims.table import Outcome, planned_seeds
from stabbench.records import canonical
from stabbench.statistics.crossed import crossed_difference, crossed_rate, crossed_rate_difference
from stabbench.statistics.paired import paired_t

RNG = np.random.default_rng(12)
LABELS = RNG.integers(0, 2, 300)
GROUPS = [("baseline", "dense"), ("stabilized", "dense"), ("stabilized", "int8-dynamic")]
# A few texts that mostly the candidate gets right, with every seed: the seeds agree, other texts might not.
HARD = RNG.random(300) < 0.25
DENSE = "accuracy:stabilized@dense:baseline@dense"
INT8 = "accuracy:stabilized@int8-dynamic:stabilized@dense"


def right(variant: str, compression: str, seeds) -> np.ndarray:
    """Whether each seed is right on each text."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng([*seed.encode(), len(variant), len(compression)])
        found.append(rng.random(300) >= np.where(HARD, 0.95 if variant == "baseline" else 0.75, 0.05))
    return np.stack(found)


@pytest.fixture
def judge(make_suite, make_rows):
    """Claims of a run; `failed` are (variant, seed) pairs, `lost` is a group's seed without answers."""

    def run(seeds=6, failed=(), lost=None):
        suite = make_suite(seeds=seeds, compressions=["int8-dynamic"])
        labels = planned_seeds(suite)
        made, rows = {}, []
        for variant, compression in GROUPS:
            correct = right(variant, compression, labels)
            for seed, answers in zip(labels, correct, strict=True):
                if (variant, seed) != lost:
                    made[variant, seed, compression] = (LABELS, np.where(answers, LABELS, 1 - LABELS))
            rows += make_rows("accuracy", variant, correct.mean(axis=1).tolist(), compression=compression)
        for variant in ("baseline", "stabilized"):
            rows += make_rows("train.failed", variant, [float((variant, seed) in failed) for seed in labels])
        return {claim.id: claim for claim in build_claims(rows, suite, made)}

    return run


def of_texts(claim) -> list[str]:
    return [note for note in claim.method_notes if note.startswith("for new texts too")]


def points(interval) -> str:
    low, high = (f"{'+' if end > 0 else '−'}{abs(100 * end):.1f}" for end in interval)
    return f"95 % CI {low} … {high}"


def test_an_accuracy_claim_tells_its_interval_for_new_texts(judge) -> None:
    claim = judge()[DENSE]
    first, second = (right(variant, "dense", "012345") for variant in ("baseline", "stabilized"))

    (note,) = of_texts(claim)

    expected = crossed_difference(first, second)
    assert f"{points(expected.interval)}, which excludes 0" in note
    assert note in claim.reason
    # The claim itself is about these texts: the seeds decide.
    seeds = paired_t((second.mean(axis=1) - first.mean(axis=1)).tolist())
    assert claim.interval == pytest.approx(seeds.interval)
    assert claim.n_seeds == 6


def test_an_interval_that_holds_zero_for_new_texts_is_said_so(judge) -> None:
    (note,) = of_texts(judge()[INT8])

    assert "which holds 0" in note


def test_pairs_left_out_are_left_out_of_the_texts_too(judge) -> None:
    claim = judge(failed=[("stabilized", "2")])[INT8]

    expected = crossed_difference(*(right("stabilized", c, "01345") for c in ("dense", "int8-dynamic")))
    assert points(expected.interval) in of_texts(claim)[0]
    assert claim.n_used == 5


@pytest.mark.parametrize("changed", [{"lost": ("stabilized", "3")}, {"seeds": 1}, {"seeds": {"init": 2, "order": 2}}])
def test_without_independent_pairs_that_all_have_answers_there_is_no_such_note(judge, changed) -> None:
    assert of_texts(judge(**changed)[DENSE]) == []


def test_failed_runs_among_those_compared_are_said(judge) -> None:
    claims = judge(failed=[("baseline", "1"), ("baseline", "4")])

    assert "2 of 12 runs failed: a mean over failed and finished runs" in claims[DENSE].method_notes
    spread = claims["seeds.sd:stabilized@dense:baseline@dense"]
    assert "2 of 12 runs failed, so the interval is of a mixture and may be too short" in spread.method_notes
    assert not any("runs failed" in claim.reason for claim in judge().values() if claim.metric != "train.failed")
    # Where failed pairs are left out there is no mixture.
    assert "finished runs" not in judge(failed=[("stabilized", "1")])[INT8].reason


SEEDS, TEXTS = "0123", [f"t:{i}" for i in range(60)]


def of_seeds(metric: str, at: dict, values: dict[str, np.ndarray], known: dict[str, np.ndarray] | None = None):
    """(seeds, texts) of each variant as outcomes; `known` are the texts that each seed has a value on."""
    return {
        (metric, canonical(at), (variant, "dense"), seed): Outcome(
            np.array(TEXTS)[mask := (np.ones(60, dtype=bool) if known is None else known[variant][i])],
            table[i][mask].astype(float),
            60,
        )
        for variant, table in values.items()
        for i, seed in enumerate(SEEDS)
    }


def led_astray() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Whether each seed's model was led astray on each text, and whether the attack tried."""
    rng = np.random.default_rng(8)
    tried = {variant: rng.random((4, 60)) < 0.8 for variant in ("baseline", "stabilized")}
    weak = rng.random(60)
    hits = {v: tried[v] & (rng.random((4, 60)) < weak * (0.9 if v == "baseline" else 0.5)) for v in tried}
    return hits, tried


def claims_of(make_suite, make_rows, metric, at, values, made):
    suite = make_suite(seeds=4)
    rows = [row for v, table in values.items() for row in make_rows(metric, v, table.mean(axis=1).tolist(), at=at)]
    rows += [row for v in values for row in make_rows("train.failed", v, [0.0] * 4)]
    return {claim.metric: claim for claim in build_claims(rows, suite, None, None, made)}


@pytest.mark.parametrize(
    ("metric", "at"),
    [("noise.accuracy", {}), ("noise.flip_rate", {}), ("noise.worst_case", {}),
     ("attack.accuracy_under_attack", {"recipe": "deepwordbug"})],
)  # fmt: skip
def test_claims_about_noise_and_attack_tell_their_interval_for_new_texts(make_suite, make_rows, metric, at) -> None:
    values = led_astray()[0]

    claim = claims_of(make_suite, make_rows, metric, at, values, of_seeds(metric, at, values))[metric]

    expected = crossed_difference(values["baseline"].astype(float), values["stabilized"].astype(float))
    assert points(expected.interval) in of_texts(claim)[0]
    assert claim.n_seeds == 4


def test_success_is_a_rate_among_the_texts_that_were_attacked(make_suite, make_rows) -> None:
    (hits, tried), at = led_astray(), {"recipe": "deepwordbug"}
    made = of_seeds("attack.success_rate", at, hits, tried)
    made |= of_seeds("attack.accuracy_under_attack", at, {v: tried[v] & ~hits[v] for v in hits})

    claim = claims_of(make_suite, make_rows, "attack.success_rate", at, hits, made)["attack.success_rate"]

    sides = [(hits[v].astype(float), tried[v].astype(float)) for v in hits]
    assert points(crossed_rate_difference(*sides).interval) in of_texts(claim)[0]
    (note,) = [note for note in claim.method_notes if note.startswith("rates for new seeds and texts")]
    for variant, side in zip(hits, sides, strict=True):
        rate = crossed_rate(*side)
        assert f"{variant} {rate.value:.1%} ({rate.low:.1%} … {rate.high:.1%})" in note


def test_texts_that_one_seed_was_not_put_to_are_left_out_for_all(make_suite, make_rows) -> None:
    values = led_astray()[0]
    known = {v: np.ones((4, 60), dtype=bool) for v in values}
    known["stabilized"][2, :10] = False

    made = of_seeds("noise.accuracy", {}, values, known)
    claim = claims_of(make_suite, make_rows, "noise.accuracy", {}, values, made)["noise.accuracy"]

    expected = crossed_difference(*(values[v][:, 10:].astype(float) for v in values))
    assert points(expected.interval) in of_texts(claim)[0]


def test_a_seed_without_its_texts_leaves_the_note_out(make_suite, make_rows) -> None:
    values = led_astray()[0]
    made = of_seeds("noise.accuracy", {}, values)
    del made["noise.accuracy", "{}", ("baseline", "dense"), "1"]

    claim = claims_of(make_suite, make_rows, "noise.accuracy", {}, values, made)["noise.accuracy"]

    assert of_texts(claim) == []
    assert claim.p is not None
