"""Sentences with a place for a name or a group term, from JSONL. No torch.

One object a line: ``text`` with exactly one of the places of `group_terms.SLOTS`, such as ``{name}``; ``label``: the
right answer, 0 negative, 1 neutral, 2 positive, or the name of a class; without it the sentence has no right answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stabbench.data.behavior_cases import POLARITIES
from stabbench.data.fields import label_in, text_in
from stabbench.data.group_terms import SLOTS
from stabbench.data.reading import read_objects
from stabbench.errors import unknown_name

_PLACE = re.compile(r"\{(\w*)\}")


@dataclass(frozen=True)
class Template:
    """A sentence with one place.

    Attributes:
        file, line: where it stands.
        before, after: the text around the place.
        slot: name of the place.
        label: the right answer, or None.
    """

    file: str
    line: int
    before: str
    after: str
    slot: str
    label: int | str | None

    @property
    def text(self) -> str:
        """The sentence as written."""
        return f"{self.before}{{{self.slot}}}{self.after}"

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"

    def filled(self, term: str) -> str:
        """Return the sentence with a term; with a capital where it begins the sentence."""
        word = term if self.before.strip() else term[:1].upper() + term[1:]
        return f"{self.before}{word}{self.after}"


def read_templates(*paths: Path) -> list[Template]:
    """Return the sentences of the files, in order.

    Raises:
        ConfigurationError: a file is missing or holds bad rows.
    """
    return [template for path in paths for template in read_objects(path, ("text",), _parser(str(path)))]


def _parser(file: str) -> Any:
    def parsed(line: int, record: Mapping[str, Any]) -> Template:
        text, label = text_in(record, "text"), label_in(record)
        if isinstance(label, int) and label not in POLARITIES:
            raise ValueError(f"'label' is {label}; a number is 0 (negative), 1 (neutral) or 2 (positive)")
        places = list(_PLACE.finditer(text))
        if len(places) != 1:
            allowed = ", ".join(f"{{{slot}}}" for slot in SLOTS)
            raise ValueError(f"'text' has {len(places)} places, expected one of {allowed}")
        place = places[0]
        if place[1] not in SLOTS:
            raise ValueError(unknown_name("place in 'text'", place[1], SLOTS))
        return Template(file, line, text[: place.start()], text[place.end() :], place[1], label)

    return parsed
