"""Contracts of every attack, over the registry; none may import textattack before it is asked to build."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from stabbench import registry
from stabbench.assets.fetch import pins
from stabbench.attacks.base import Attack
from stabbench.attacks.engine.resources import RESOURCES

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
    assert card.traits["tier"] == attack.tier
    assert card.traits["goal"] == attack.goal
    assert set(attack.needs) <= set(RESOURCES)
    assert set(attack.assets) <= set(pins())
    assert attack.tier in ("offline", "system", "full")
    assert attack.goal in ("change", "keep")
    assert attack.tier != "offline" or attack.missing() is None
    assert all((card.paper, card.equation, card.changes, card.cost, card.departures, card.pitfalls))
    assert "textattack" not in sys.modules


def test_every_recipe_that_textattack_ships_is_known_by_name() -> None:
    """Read from its files, since importing textattack changes the process."""
    import importlib.util

    package = importlib.util.find_spec("textattack")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "attack_recipes"
    found = [
        node.name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "AttackRecipe" for base in node.bases)
    ]

    assert len(found) >= 20
    assert set(found) <= {registry.load("attacks", name).recipe for name in NAMES}


@pytest.mark.parametrize("name", [name for name in NAMES if registry.load("attacks", name).tier == "full"])
def test_what_a_recipe_lacks_is_said_with_what_would_get_it(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("HOME", "TA_CACHE_DIR", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("NLTK_DATA", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr("stabbench.attacks.engine.resources._NLTK_FOLDERS", ())
    reason = registry.load("attacks", name)().missing()

    assert reason is not None
    assert reason.startswith(f"{name} needs ")
    assert ": " in reason


def test_downloads_are_found_where_their_libraries_leave_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TA_CACHE_DIR", str(tmp_path))
    iga = registry.load("attacks", "iga")()

    assert "counter-fitted" in iga.missing()
    (tmp_path / "word_embeddings" / "paragramcf").mkdir(parents=True)
    assert iga.missing() is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert not RESOURCES["hub:gpt2"].there()
    (tmp_path / "models--gpt2" / "snapshots" / "abc").mkdir(parents=True)
    (tmp_path / "models--gpt2" / "snapshots" / "abc" / "config.json").write_text("{}")
    assert RESOURCES["hub:gpt2"].there()


def test_a_folder_without_a_model_is_told_from_one_with_one(tmp_path: Path) -> None:
    given = registry.load("attacks", "bae-offline").given(masked_lm=str(tmp_path), examples=3)

    assert str(tmp_path) in given.missing()
    (tmp_path / "config.json").write_text("{}")
    assert given.missing() is None
