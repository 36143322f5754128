"""Synonyms of a word's commonest sense, read from WordNet's own files by binary search: nothing is loaded.

Formats: the manual page wndb(5WN) of WordNet 3.0. A line of ``index.POS`` is the lemma, its part of speech, counts,
how many of its senses were met in tagged text, and the byte offsets of its synsets in ``data.POS``, commonest first.
"""

from __future__ import annotations

import mmap
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

KINDS = ("noun", "verb", "adj", "adv")


class _Entry(NamedTuple):
    """Senses met in tagged text, senses, and the first synset's offset."""

    tagged: int
    senses: int
    offset: int


@lru_cache(maxsize=2**16)
def synonyms(folder: Path, word: str) -> tuple[str, ...]:
    """Return the other single words of the commonest sense, in WordNet's order; none for what is no lemma.

    Of several parts of speech the one is taken in which most senses were met in tagged text.

    Args:
        folder: WordNet's files.
        word: in lower case; an inflected form that is no lemma of its own has no synonym here.
    """
    entries = [(entry, kind) for kind in KINDS if word and (entry := _entry(_file(folder, f"index.{kind}"), word))]
    if not entries:
        return ()
    entry, kind = max(entries, key=lambda item: item[0][:2])
    return tuple(found for found in _words(_file(folder, f"data.{kind}"), entry.offset) if found != word)


@cache
def _file(folder: Path, name: str) -> mmap.mmap:
    with (folder / name).open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _entry(index: mmap.mmap, word: str) -> _Entry | None:
    """Return a lemma's entry; the lines are sorted by their bytes, the licence above them begins with blanks."""
    key = f"{word} ".encode()
    low, high = 0, len(index)
    while low < high:
        start = index.rfind(b"\n", 0, (low + high) // 2) + 1
        end = index.find(b"\n", start)
        end = len(index) if end < 0 else end
        line = index[start:end]
        if line.startswith(key):
            fields = line.split()
            senses = int(fields[2])
            return _Entry(int(fields[-senses - 1]), senses, int(fields[-senses]))
        if line < key:
            low = end + 1
        else:
            high = start
    return None


def _words(data: mmap.mmap, offset: int) -> list[str]:
    """Return the single words, in lower case as written, of the synset at a byte offset."""
    fields = data[offset : data.find(b"\n", offset)].decode("ascii").split()
    count = int(fields[3], 16)
    words = [field.partition("(")[0] for field in fields[4 : 4 + 2 * count : 2]]
    return [word for word in words if word.isalpha() and word.islower()]
