"""Contracts of every attack, over the registry; none may import textattack before it is asked to build."""

from __future__ import annotations

import sys

import pytest

from stabbench import registry
from stabbench.attacks.base import Attack

NAMES = registry.names("attacks")


def test_deepwordbug_is_shipped_and_the_engine_is_no_attack() -> None:
    assert "deepwordbug" in NAMES
    assert "engine" not in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_declares_name_tier_and_card_without_importing_textattack(name: str) -> None:
    attack = registry.load("attacks", name)()
    card = registry.make_card("attacks", name)

    assert isinstance(attack, Attack)
    assert attack.name == name
    assert card.traits == {"tier": attack.tier, "goal": attack.goal}
    assert attack.tier in ("offline", "system", "full")
    assert attack.goal in ("change", "keep")
    assert attack.tier != "offline" or attack.missing() is None
    assert all((card.paper, card.equation, card.changes, card.cost, card.departures, card.pitfalls))
    assert "textattack" not in sys.modules
