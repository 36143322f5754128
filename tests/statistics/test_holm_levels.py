"""Holm's levels decide as statsmodels does, and stay at the failing level afterwards."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from stabbench.statistics.multiplicity import holm_levels


@settings(max_examples=15)  # statsmodels takes a tenth of a second for one
@given(st.lists(st.floats(1e-6, 1, exclude_max=True), min_size=1, max_size=6, unique=True))
def test_decisions_are_those_of_holm(p_values) -> None:
    levels = holm_levels(p_values)
    # At the level itself DESIGN §7 says below, statsmodels says at most.
    assume(all(abs(p - level) > 1e-9 for p, level in zip(p_values, levels, strict=True)))

    decided = [p < level for p, level in zip(p_values, levels, strict=True)]
    assert decided == multipletests(p_values, 0.05, "holm")[0].tolist()


def test_later_claims_use_the_level_that_failed() -> None:
    assert holm_levels([0.2, 0.001, 0.03]) == pytest.approx([0.025, 0.05 / 3, 0.025])


def test_all_decided_claims_use_falling_divisors() -> None:
    assert holm_levels([0.04, 0.001, 0.01]) == pytest.approx([0.05, 0.05 / 3, 0.025])


def test_a_claim_without_a_p_value_counts_and_comes_last() -> None:
    assert holm_levels([None, 0.02]) == pytest.approx([0.05, 0.025])
    assert holm_levels([None, 0.04]) == pytest.approx([0.025, 0.025])
    assert holm_levels([]) == []
