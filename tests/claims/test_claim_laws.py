"""Laws: what must not change a verdict, and what must turn it round."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stabbench.claims.build import build_claims
from stabbench.records import Measurement, Row

OPPOSITE = {"improved": "regressed", "regressed": "improved"}
accuracies = st.lists(st.tuples(st.integers(300, 600), st.integers(300, 600)), min_size=1, max_size=8)
steady = st.tuples(
    st.integers(300, 600), st.integers(-40, 40), st.lists(st.integers(-6, 6), min_size=3, max_size=8)
).map(lambda drawn: [(drawn[0] + 9 * i, drawn[0] + 9 * i + drawn[1] + extra) for i, extra in enumerate(drawn[2])])
pairs = st.one_of(accuracies, steady)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="session")
def verdict_of(make_suite):
    def run(values, order=None, metric="accuracy"):
        rows = []
        for seed in order or range(len(values)):
            for variant, value in zip(("baseline", "stabilized"), values[seed], strict=True):
                measurement = Measurement(metric, value / 600, "share", "higher")
                rows.append(Row(variant, str(seed), "dense", metric, measurement))
        suite = make_suite(seeds=len(values), compare={"primary": [metric]})
        return next(claim for claim in build_claims(rows, suite) if claim.primary)

    return run


@quick
@given(values=pairs, random=st.randoms(use_true_random=False))
def test_the_order_of_rows_and_seeds_changes_nothing(verdict_of, values, random) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    order = list(range(len(values)))
    random.shuffle(order)

    found, rows_moved, seeds_moved = verdict_of(values), verdict_of(values, order), verdict_of(shuffled)

    assert rows_moved == found
    assert (seeds_moved.verdict, seeds_moved.effect) == (found.verdict, found.effect)
    assert seeds_moved.p == (None if found.p is None else pytest.approx(found.p))


@quick
@given(values=pairs, shift=st.integers(-200, 200))
def test_adding_a_constant_to_both_arms_changes_nothing(verdict_of, values, shift: int) -> None:
    found, moved = verdict_of(values), verdict_of([(a + shift, b + shift) for a, b in values])

    assert moved.verdict == found.verdict
    assert moved.effect == pytest.approx(found.effect, abs=1e-12)


@quick
@given(values=pairs)
def test_swapping_the_arms_flips_the_effect_and_the_verdict(verdict_of, values) -> None:
    found, swapped = verdict_of(values), verdict_of([(b, a) for a, b in values])

    assert swapped.effect == -found.effect
    assert swapped.p == found.p
    assert swapped.verdict == OPPOSITE.get(found.verdict, found.verdict)


@quick
@given(values=pairs)
def test_every_decided_claim_has_p_below_its_level_and_an_interval_without_zero(verdict_of, values) -> None:
    claim = verdict_of(values)

    if claim.verdict in OPPOSITE:
        assert claim.p < 1 - claim.level
        assert claim.interval[0] * claim.interval[1] > 0
        assert (claim.effect > 0) == (claim.verdict == "improved")
    assert claim.reason
