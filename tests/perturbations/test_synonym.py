"""Synonyms are WordNet's, found as NLTK's reader or a linear search finds them; without WordNet the message helps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stabbench.assets import wordnet
from stabbench.errors import StabbenchError
from stabbench.perturbations import _wordnet, synonym
from stabbench.perturbations._wordnet import KINDS, synonyms
from stabbench.perturbations.synonym import FUNCTION_WORDS, Synonym

INSTALLED = wordnet.files()
here = pytest.mark.skipif(INSTALLED is None, reason="WordNet is not on this machine (apt-get install wordnet-base)")


@pytest.fixture
def forget() -> Iterator[None]:
    synonym._database.cache_clear()
    yield
    synonym._database.cache_clear()


def small(folder: Path) -> Path:
    """A database of three lemmas in WordNet's own form: big (adjective and, never met, noun), large, run."""
    folder.mkdir()
    licence = "  1 This is not the licence of WordNet.  \n"
    for kind in KINDS:
        (folder / f"data.{kind}").write_text(licence)
        (folder / f"index.{kind}").write_text(licence)
    at = len(licence)
    (folder / "data.adj").write_text(
        f"{licence}{at:08d} 00 a 05 big 0 large(a) 1 Great 0 out_size 0 bulky 0 000 | above average\n"
    )
    (folder / "index.adj").write_text(
        f"{licence}big a 2 1 & 2 2 {at:08d} 00000099  \nbulky a 1 0 1 0 {at:08d}  \nlarge a 1 1 & 1 1 {at:08d}  \n"
    )
    (folder / "data.noun").write_text(f"{licence}{at:08d} 18 n 02 big 0 boss 0 000 | a person\n")
    (folder / "index.noun").write_text(f"{licence}big n 1 0 1 0 {at:08d}  \n")
    return folder


def test_the_commonest_sense_of_the_commonest_part_of_speech(tmp_path: Path) -> None:
    folder = small(tmp_path / "dict")

    assert synonyms(folder, "big") == ("large", "bulky"), "no proper name, no compound, no noun that was never met"
    assert synonyms(folder, "bulky") == ("big", "large")
    assert synonyms(folder, "large") == ("big", "bulky")
    for absent in ("bi", "bigg", "a", "zz", "1", "this", ""):
        assert synonyms(folder, absent) == ()


def test_case_is_kept_and_grammar_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None) -> None:
    monkeypatch.setenv("WNSEARCHDIR", str(small(tmp_path / "dict")))
    kind = Synonym()

    found = {kind.perturb("Big, not BIG: a big one.", 5, str(i), 0) for i in range(200)}
    words = {text.replace(",", "").replace(":", "").split()[0] for text in found}
    assert words == {"Big", "Large", "Bulky"}
    assert {text.split()[2] for text in found} == {"BIG:", "LARGE:", "BULKY:"}
    assert all(text.split()[1] == "not" and text.endswith(" one.") for text in found)
    assert all(kind.replacement(word, 0) is None for word in FUNCTION_WORDS)


def test_without_wordnet_the_message_says_what_would_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None
) -> None:
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "absent")
    monkeypatch.setattr(wordnet, "_NLTK_FOLDERS", ())
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    monkeypatch.delenv("NLTK_DATA", raising=False)

    with pytest.raises(StabbenchError, match=r"synonym needs WordNet 3\.0: install the package wordnet-base"):
        Synonym().perturb("a big film", 1, "a", 0)
    assert Synonym().perturb("a big film", 0, "a", 0) == "a big film"


def test_a_packed_database_of_nltk_is_told_to_be_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None
) -> None:
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "absent")
    monkeypatch.setattr(wordnet, "_NLTK_FOLDERS", ())
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora" / "wordnet.zip").write_bytes(b"")
    monkeypatch.setenv("NLTK_DATA", str(tmp_path))

    assert "unpack" in str(Synonym().missing())
    synonym._database.cache_clear()
    (tmp_path / "corpora" / "wordnet").mkdir()
    for file in small(tmp_path / "dict").iterdir():
        (tmp_path / "corpora" / "wordnet" / file.name).write_bytes(file.read_bytes())
    assert Synonym().missing() is None


@here
def test_binary_search_finds_every_hundredth_lemma_as_reading_the_file_does() -> None:
    assert INSTALLED is not None
    for kind in KINDS:
        lines = [ln for ln in (INSTALLED / f"index.{kind}").read_text("ascii").splitlines() if not ln.startswith("  ")]
        data = (INSTALLED / f"data.{kind}").read_bytes()
        index = _wordnet._file(INSTALLED, f"index.{kind}")
        for line in [*lines[::100], lines[0], lines[-1]]:
            lemma, _, senses, pointers, *rest = line.split()
            counts = rest[int(pointers) :]
            entry = _wordnet._entry(index, lemma)
            assert entry == (int(counts[1]), int(senses), int(counts[2])), line
            assert data[entry.offset :].startswith(counts[2].encode())
        assert _wordnet._entry(index, "qqqq") is None


@here
def test_synonyms_are_symmetric_where_both_words_have_one_sense() -> None:
    assert INSTALLED is not None
    assert synonyms(INSTALLED, "car") == ("auto", "automobile", "machine", "motorcar")
    assert "car" in synonyms(INSTALLED, "automobile")
    assert synonyms(INSTALLED, "quick") == ("speedy",)
