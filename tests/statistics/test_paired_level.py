"""Level: the paired t and the sign flip, against scipy, statsmodels and full enumeration."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from stabbench.statistics.paired import equivalence, equivalence_test, paired_log_ratio, paired_t, sign_flip
from stabbench.statistics.result import excludes_zero, within

DIFFERENCES = [0.012, 0.031, -0.004, 0.022, 0.019, 0.008]
varied = st.lists(st.integers(-1000, 1000).map(lambda x: x / 1000), min_size=2, max_size=12)


@pytest.mark.parametrize("level", [0.9, 0.95, 1 - 0.05 / 3])
def test_paired_t_is_the_one_sample_t_of_the_differences(level: float) -> None:
    found = paired_t(DIFFERENCES, level)

    expected = stats.ttest_1samp(DIFFERENCES, 0)
    interval = expected.confidence_interval(level)
    assert found.value == pytest.approx(np.mean(DIFFERENCES))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx((interval.low, interval.high))


def test_the_p_value_and_the_interval_decide_alike() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        found = paired_t(rng.normal(0.8, 1, 6).tolist())

        assert found.p is not None
        assert (found.p < 0.05) == excludes_zero(found.interval)


@pytest.mark.parametrize("margin", [0.02, 0.025, 0.03])
def test_equivalence_agrees_with_two_one_sided_tests(margin: float) -> None:
    found = within(equivalence(DIFFERENCES).interval, margin)

    p, _, _ = ttost_paired(np.array(DIFFERENCES), np.zeros(6), -margin, margin)
    assert found == (p < 0.05)


@pytest.mark.parametrize("margin", [0.005, 0.016, 0.02, 0.0235, 0.025, 0.03])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_equivalence_test_gives_the_larger_one_sided_p(margin: float, alpha: float) -> None:
    found = equivalence_test(DIFFERENCES, margin, alpha)

    p, _, _ = ttost_paired(np.array(DIFFERENCES), np.zeros(6), -margin, margin)
    assert found.p == pytest.approx(p)
    assert found.interval == pytest.approx(equivalence(DIFFERENCES, 1 - 2 * alpha).interval)
    assert within(found.interval, margin) == (found.p < alpha)


@pytest.mark.parametrize(
    ("differences", "margin", "p", "reason"),
    [
        ([], 0.1, None, "no pair"),
        ([0.02], 0.1, None, "one pair"),
        ([0.02, 0.02], 0.1, None, "are equal"),
        ([0.0, 0.0], 0.1, 0.0, "exactly 0"),
        (DIFFERENCES, 0.0, None, "must be positive"),
        (DIFFERENCES, math.nan, None, "must be positive"),
        (DIFFERENCES, math.inf, 0.0, ""),
    ],
)
def test_equivalence_that_cannot_be_tested_has_a_reason(differences, margin, p, reason) -> None:
    found = equivalence_test(differences, margin)

    assert found.p == p
    assert reason in found.reason


@pytest.mark.parametrize(
    ("differences", "value", "interval", "p", "reason"),
    [
        ([], None, None, None, "no pair"),
        ([0.02], 0.02, None, None, "one pair"),
        ([0.02, math.nan], None, None, None, "1 of 2 differences not finite"),
        ([math.inf, -math.inf, 0.0], None, None, None, "2 of 3 differences not finite"),
        ([0.02, 0.02, 0.02], 0.02, None, None, "all 3 differences are equal"),
        ([0.1 + 0.2 - 0.3 + 0.02, 0.02, 0.02], 0.02, None, None, "are equal"),
        ([0.0, 0.0, 0.0], 0.0, (0.0, 0.0), 1.0, "exactly 0"),
    ],
)
def test_paired_t_answers_awkward_input_with_a_reason(differences, value, interval, p, reason) -> None:
    found = paired_t(differences)

    assert found.value == (value if value is None else pytest.approx(value))
    assert (found.interval, found.p) == (interval, p)
    assert reason in found.reason


def test_two_pairs_have_the_interval_of_one_degree_of_freedom() -> None:
    found = paired_t([0.01, 0.03])

    assert found.interval == pytest.approx((0.02 - 12.7062 * 0.01, 0.02 + 12.7062 * 0.01), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_paired_t_does_not_depend_on_the_unit(scale: float) -> None:
    found, plain = paired_t([scale * d for d in DIFFERENCES]), paired_t(DIFFERENCES)

    assert found.p == pytest.approx(plain.p)
    assert found.high == pytest.approx(scale * plain.high)


@given(varied, st.randoms(use_true_random=False))
def test_permuting_the_seeds_changes_nothing(differences, random) -> None:
    shuffled = list(differences)
    random.shuffle(shuffled)

    assert paired_t(shuffled).p == pytest.approx(paired_t(differences).p)
    assert paired_t(shuffled).value == paired_t(differences).value
    assert sign_flip(shuffled) == sign_flip(differences)


@given(varied)
def test_swapping_the_arms_flips_the_sign_and_keeps_p(differences) -> None:
    found, swapped = paired_t(differences), paired_t([-d for d in differences])

    assert swapped.value == -found.value
    assert swapped.p == found.p
    assert sign_flip([-d for d in differences]).p == sign_flip(differences).p
    if found.interval is not None:
        assert swapped.interval == pytest.approx((-found.interval[1], -found.interval[0]))


@settings(max_examples=30)
@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_sign_flip_is_the_share_of_sign_choices_at_least_as_far_from_zero(differences) -> None:
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]

    assert sign_flip(differences).p == pytest.approx(np.mean(np.array(sums) >= abs(sum(differences))))


@pytest.mark.parametrize("n", [1, 5, 6, 10, 16])
def test_sign_flip_reaches_its_floor_and_no_lower(n: int) -> None:
    found = sign_flip([0.01 * (i + 1) for i in range(n)])

    assert found.p == found.floor == 2 / 2**n


def test_drawn_sign_flips_approach_the_exact_answer_and_are_reproducible() -> None:
    differences = np.random.default_rng(2).normal(0.35, 1, 17).tolist()

    found = sign_flip(differences)

    exact = stats.permutation_test(
        (np.array(differences),), np.mean, permutation_type="samples", n_resamples=2**17, vectorized=True, axis=0
    )
    assert found.p == pytest.approx(exact.pvalue, abs=0.01)
    assert found == sign_flip(differences[::-1])


@pytest.mark.parametrize("differences", [[], [math.nan, 1.0]])
def test_sign_flip_without_finite_differences_has_no_p(differences) -> None:
    found = sign_flip(differences)

    assert found.p is None
    assert found.reason


def test_log_ratio_of_swapped_arms_is_the_negative() -> None:
    a, b = [1.0, 1.2, 0.9, 1.1], [2.0, 2.1, 2.2, 1.9]

    found, swapped = paired_log_ratio(a, b), paired_log_ratio(b, a)

    assert found.value == pytest.approx(np.mean(np.log(np.array(a) / b)))
    assert swapped.value == pytest.approx(-found.value)
    assert swapped.interval == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_log_ratio_of_what_has_no_logarithm_is_unknown(bad: float) -> None:
    found = paired_log_ratio([1.0, bad], [1.0, 2.0])

    assert (found.value, found.interval, found.p) == (None, None, None)
    assert "not positive" in found.reason


@pytest.mark.parametrize(
    ("interval", "inside"),
    [((-0.01, 0.01), True), ((-0.011, 0.0), False), ((0.0, 0.011), False), ((-0.005, 0.002), True), (None, False)],
)
def test_an_interval_is_within_a_margin_only_with_both_ends(interval, inside: bool) -> None:
    assert within(interval, 0.01) == inside
    assert not within(interval, None)
