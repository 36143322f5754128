"""Laws that every perturbation must keep, found by looking through the registry."""

from __future__ import annotations

import random
import string
from itertools import pairwise

import Levenshtein
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench import registry
from stabbench.perturbations.base import SEVERITIES, Perturbation

NAMES = registry.names("perturbations")


def with_reason(name: str) -> object:
    """A kind that needs what this machine lacks is skipped, and says why."""
    reason = registry.load("perturbations", name)().missing()
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=str(reason)))


TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(["good", "film", "It's", "—", "naïve", "x", "!"])).map(" ".join)
every = pytest.mark.parametrize("name", [with_reason(name) for name in NAMES])


def made(name: str) -> Perturbation:
    perturbation: Perturbation = registry.load("perturbations", name)()
    return perturbation


def sentences(n: int) -> list[str]:
    rng = random.Random(0)
    return [
        " ".join("".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(20)) for _ in range(n)
    ]


def test_the_shipped_kinds_are_found_by_their_file_names() -> None:
    assert {"keyboard", "char_swap", "word_drop", "homoglyph"} <= set(NAMES)


@every
@given(text=TEXTS)
@settings(max_examples=40, deadline=None)
def test_severity_zero_is_the_identity_and_text_is_never_lost(name: str, text: str) -> None:
    perturbation = made(name)

    assert perturbation.perturb(text, 0, "a", 0) == text
    for severity in SEVERITIES:
        changed = perturbation.perturb(text, severity, "a", 0)
        assert bool(changed.strip()) == bool(text.strip())
        assert changed == perturbation.perturb(text, severity, "a", 0)


@every
@given(text=TEXTS)
@settings(max_examples=40, deadline=None)
def test_output_is_as_encodable_as_input(name: str, text: str) -> None:
    changed = made(name).perturb(text, 5, "a", 0)

    assert changed.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") == changed
    assert any("\ud800" <= c <= "\udfff" for c in changed) <= any("\ud800" <= c <= "\udfff" for c in text)


@every
def test_results_depend_on_example_and_seed_and_not_on_order(name: str) -> None:
    perturbation, texts = made(name), [*sentences(20), made(name).sample]

    forwards = [perturbation.perturb(text, 5, str(i), 0) for i, text in enumerate(texts)]
    backwards = [perturbation.perturb(texts[i], 5, str(i), 0) for i in reversed(range(21))][::-1]

    assert forwards == backwards
    assert len({perturbation.perturb(texts[-1], 5, str(i), 0) for i in range(20)}) > 1
    assert len({perturbation.perturb(texts[-1], 5, "a", seed) for seed in range(20)}) > 1


@every
def test_global_random_state_is_neither_read_nor_changed(name: str) -> None:
    random.seed(1)
    before, first = random.getstate(), made(name).perturb(sentences(1)[0], 5, "a", 0)

    assert random.getstate() == before
    random.seed(2)
    assert made(name).perturb(sentences(1)[0], 5, "a", 0) == first


@every
def test_a_higher_severity_changes_more_of_the_sample(name: str) -> None:
    """The mean share of texts that change, and the mean edit distance to the clean one, rise with the severity."""
    perturbation = made(name)
    versions = [[perturbation.perturb(perturbation.sample, s, str(i), 0) for i in range(60)] for s in SEVERITIES]

    changed = [sum(text != perturbation.sample for text in texts) for texts in versions]
    distance = [sum(Levenshtein.distance(text, perturbation.sample) for text in texts) for texts in versions]

    assert all(mild <= strong for mild, strong in pairwise(changed))
    assert all(mild < strong for mild, strong in pairwise(distance))


@every
def test_declared_rates_are_five_and_rise(name: str) -> None:
    rates = made(name).rates

    assert len(rates) == len(SEVERITIES)
    assert all(0 < low < high <= 1 for low, high in pairwise(rates))


@every
def test_a_card_can_be_made_of_it(name: str) -> None:
    card = registry.make_card("perturbations", name)

    assert all((card.paper, card.equation, card.changes, card.cost, card.departures, card.pitfalls))
    assert card.traits["places"] in ("letter", "word")
