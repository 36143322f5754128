"""Every kind of noise on texts that nobody should write: a text of the same nature, quickly, and nothing raised."""

from __future__ import annotations

import unicodedata

import pytest
from hostile_texts import HOSTILE
from hypothesis import given, settings
from hypothesis import strategies as st

from stabbench import registry
from stabbench.perturbations.base import SEVERITIES, Perturbation

MADE: list[Perturbation] = [
    p for name in registry.names("perturbations") if (p := registry.load("perturbations", name)()).missing() is None
]
# What unicode holds beside letters: unassigned, private, lone surrogates, controls, combining marks, joined emoji.
UNICODE = (
    st.text(st.characters(categories=["Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp", "Zs"]), max_size=40)
    | st.text(st.characters(categories=["Mn", "Mc", "Me", "So", "Sk", "Lo", "Lm", "Lt", "Nl", "No"]), max_size=40)
    | st.lists(st.sampled_from([*HOSTILE.values(), "good", " ", "\x00", "\ud800", "İ", "ß", "ﬁ", "ǅ"]), max_size=4).map(
        lambda parts: "".join(part[:50] for part in parts)
    )
    | st.text(max_size=60)
)
every = pytest.mark.parametrize("kind", MADE, ids=lambda kind: type(kind).__name__)


@every
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_changed_without_being_lost(kind: Perturbation, name: str) -> None:
    text = HOSTILE[name]
    for severity in SEVERITIES:
        changed = kind.perturb(text, severity, "h", 0)
        assert bool(changed.strip()) == bool(text.strip())
        assert len(changed) <= 12 * len(text) + 12


@every
@given(text=UNICODE, example=st.text(max_size=5), severity=st.sampled_from(SEVERITIES), seed=st.integers(0, 2**70))
@settings(max_examples=60, deadline=None)
def test_any_unicode_is_taken_and_given_back_the_same_each_time(
    kind: Perturbation, text: str, example: str, severity: int, seed: int
) -> None:
    changed = kind.perturb(text, severity, example, seed)

    assert changed == kind.perturb(text, severity, example, seed)
    assert bool(changed.strip()) == bool(text.strip())
    # No broken character comes of whole ones, and no NUL or other control of a text that has none.
    for broken in ("Cs", "Cn", "Cc"):
        had = any(unicodedata.category(c) == broken for c in text)
        assert had or not any(unicodedata.category(c) == broken for c in changed)
