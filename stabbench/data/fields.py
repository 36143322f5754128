"""Values of one object of a JSONL file: texts that a tokenizer can read, classes, and what to say of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stabbench.data.reading import damage
from stabbench.errors import unknown_name


def text_in(record: Mapping[str, Any], key: str) -> str:
    """Return the text of a key, or raise `ValueError` where it is not one that a tokenizer could read."""
    return readable(record[key], f"'{key}'")


def readable(value: object, place: str) -> str:
    """Return `value` if it is a text, not empty and without damage; raise `ValueError`, naming `place`, otherwise."""
    if not isinstance(value, str):
        raise ValueError(f"{place} holds {'nothing' if value is None else type(value).__name__}, expected text")
    if not value.strip():
        raise ValueError(f"{place} is empty")
    if found := damage(value):
        raise ValueError(f"{place} {found}")
    return value


def label_in(record: Mapping[str, Any], key: str = "label") -> int | str | None:
    """Return the class of a key, a whole number or a name, or None where there is none."""
    value = record.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        return readable(value, f"'{key}'")
    raise ValueError(f"'{key}' holds {value!r}, expected a whole number or the name of a class")


def one_of(record: Mapping[str, Any], key: str, known: Sequence[str]) -> str:
    """Return the text of a key, which must be one of `known`, or raise `ValueError` with all of them."""
    value = text_in(record, key)
    if value not in known:
        raise ValueError(unknown_name(f"'{key}'", value, known))
    return value
