"""Hostile text made visible: what data or attacks hold is shown, never obeyed. Escaping itself is the template's."""

from __future__ import annotations

import difflib
import unicodedata
from dataclasses import dataclass

EXCERPT = 240
# Scripts whose letters pass for Latin ones; shown with their code point.
LOOKALIKE_SCRIPTS = ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "FULLWIDTH")


def visible(text: str, limit: int = EXCERPT) -> str:
    """Return text that cannot act, cut to `limit` characters: controls and direction marks as ``[U+202E]``."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(_shown(char) for char in cut)


def _shown(char: str) -> str:
    if char in "\t\n\r":
        return " "
    # Cc controls, Cf format and direction marks, Cs lone surrogates, Zl and Zp separators, Co private use
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"):
        return f"[U+{ord(char):04X}]"
    return char


def code_points(word: str) -> str:
    """Return the look-alike letters of a word with their code points, ``а U+0430``; empty where there are none."""
    found = [char for char in dict.fromkeys(word) if _lookalike(char)]
    return ", ".join(f"{char} U+{ord(char):04X}" for char in found[:4])


def _lookalike(char: str) -> bool:
    return ord(char) > 127 and char.isalpha() and unicodedata.name(char, "").startswith(LOOKALIKE_SCRIPTS)


@dataclass(frozen=True)
class Piece:
    """A run of words in a diff: ``same``, ``removed`` or ``added``, with a note on look-alike letters."""

    kind: str
    text: str
    note: str = ""


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """Return the word-level difference of two texts, each piece made visible."""
    old, new = before.split()[:60], after.split()[:60]
    pieces = []
    for kind, a, b, c, d in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", visible(" ".join(old[a:b]))))
            continue
        if b > a:
            pieces.append(Piece("removed", visible(" ".join(old[a:b]))))
        if d > c:
            added = " ".join(new[c:d])
            pieces.append(Piece("added", visible(added), code_points(added)))
    return tuple(pieces)
