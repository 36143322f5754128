"""WordNet is found where it lies, and where it does not lie the message says how to get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stabbench import registry
from stabbench.assets import wordnet as places
from stabbench.attacks.engine import wordnet

SYSTEM = [name for name in registry.names("attacks") if registry.load("attacks", name).tier == "system"]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without WordNet; the folder is empty."""
    monkeypatch.setattr(places, "DEBIAN", tmp_path / "absent")
    monkeypatch.setattr(places, "_NLTK_FOLDERS", ())
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    monkeypatch.delenv("NLTK_DATA", raising=False)
    return tmp_path


def fill(folder: Path, *more: str) -> None:
    folder.mkdir(parents=True)
    for name in (*wordnet.NEEDED, *more):
        (folder / name).write_text(name)


@pytest.mark.parametrize("name", SYSTEM)
def test_without_wordnet_a_recipe_says_what_would_get_it(bare: Path, name: str) -> None:
    message = registry.load("attacks", name)().missing()

    assert message.startswith(f"{name} needs WordNet 3.0")
    assert "apt-get install wordnet-base" in message


def test_a_folder_named_by_wordnets_own_variable_is_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bare / "dict")
    monkeypatch.setenv("WNSEARCHDIR", str(bare / "dict"))

    assert wordnet.missing("x") is None
    (bare / "dict" / "data.adj").unlink()
    assert wordnet.missing("x") is not None


def test_nltk_data_needs_nothing_else(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(bare / "data" / "corpora" / "wordnet", "lexnames")
    monkeypatch.setenv("NLTK_DATA", str(bare / "data"))

    assert wordnet.missing("x") is None


def test_the_prepared_folder_holds_what_nltk_wants(bare: Path) -> None:
    fill(bare / "dict")
    folder = wordnet._prepared(bare / "dict") / "corpora" / "wordnet"

    assert {*wordnet.NEEDED, "lexnames", "index.sense"} <= {file.name for file in folder.iterdir()}
    assert (folder / "data.noun").read_text() == "data.noun"


def test_lexicographer_files_have_the_numbers_of_the_manual() -> None:
    """45 files; 3 of them adjectives, 1 adverbs, 26 nouns, 15 verbs."""
    lines = [line.split("\t") for line in wordnet.lexnames().splitlines()]

    assert [int(number) for number, _, _ in lines] == list(range(45))
    assert [sum(pos == p for _, _, pos in lines) for p in "1234"] == [26, 15, 3, 1]
    assert {int(n): name for n, name, _ in lines if int(n) in (0, 3, 18, 28, 29, 43, 44)} == {
        0: "adj.all", 3: "noun.Tops", 18: "noun.person", 28: "noun.time", 29: "verb.body", 43: "verb.weather",
        44: "adj.ppl",
    }  # fmt: skip
