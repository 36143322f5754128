"""The committed cards say what the code says, and a change of results was declared by a new version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stabbench import registry
from stabbench.planning.cards import make, text, undeclared

ALL = [(kind, name) for kind in registry.KINDS for name in registry.shipped(kind)]


def test_the_card_file_is_up_to_date() -> None:
    committed = registry.CARDS.read_text(encoding="utf-8")

    assert committed == text(make()), "run `make cards`; where results changed, raise the plug-in's `version` first"


def test_changed_code_needs_a_new_version() -> None:
    old, new = make(), make()
    new["stabilizers"]["ema"]["source"] = "other"
    new["engine"]["source"] = "other"

    assert undeclared(old, new) == ["stabilizers/ema", "engine"]
    new["stabilizers"]["ema"]["version"] += 1
    new["engine"]["version"] += 1
    assert undeclared(old, new) == []


def test_the_source_hash_sees_code_and_not_comments(tmp_path: Path) -> None:
    variants = ["x = 1\n", '"""Doc."""\n\n# why\nx = 1\n', "x = 2\n"]
    hashes = []
    for index, source in enumerate(variants):
        file = tmp_path / f"{index}.py"
        file.write_text(source)
        hashes.append(registry.source_hash(file))

    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_plug_in_tells_what_it_is(kind: str, name: str) -> None:
    card = registry.card(kind, name)

    assert card.summary.endswith(".")
    assert card.paper
    assert card.equation
    assert card.changes
    assert card.cost
    for option, spec in card.schema["properties"].items():
        assert "default" in spec, f"option '{option}' needs a default"


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_options_round_trip(kind: str, name: str) -> None:
    defaults = registry.card(kind, name).defaults()

    plugin = registry.load(kind, name)(**json.loads(json.dumps(defaults)))

    assert json.loads(json.dumps(plugin.options())) == json.loads(json.dumps(defaults))


@pytest.mark.parametrize("kind", registry.KINDS)
def test_the_name_of_a_plug_in_is_the_name_of_its_file(kind: str) -> None:
    for name in registry.shipped(kind):
        file = registry.PACKAGE / kind / f"{name.replace('-', '_')}.py"
        assert file.exists()
        assert registry.load(kind, name).__module__ == registry.module_name(kind, name)
