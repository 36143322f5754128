"""Published adversarial texts from JSONL, each beside the text it was made from. No torch.

One object a line: the changed text, the original and the label under keys that the probe names (defaults ``text``,
``orig_text``, ``label``, as attack logs have them); ``recipe`` tells several attacks in one file apart, and ``result``
says how the published attack ended: ``Successful``, ``Failed`` or ``Skipped``. Further keys are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stabbench.data.fields import label_in, text_in
from stabbench.data.reading import read_objects

SUCCESSFUL = "Successful"


@dataclass(frozen=True)
class Pair:
    """An adversarial text and its original.

    Attributes:
        file, line: where it stands.
        source: the file's stem, and the recipe where the file names one.
        original, changed: the two texts.
        label: the right answer for both: a number or the name of a class.
        misled: whether the model that it was made against was misled; None where the file does not say.
    """

    file: str
    line: int
    source: str
    original: str
    changed: str
    label: int | str
    misled: bool | None = None

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"


def read_pairs(path: Path, text: str = "text", original: str = "orig_text", label: str = "label") -> list[Pair]:
    """Return the pairs of a file, in order.

    Args:
        path: the file.
        text: key of the changed text.
        original: key of the text it was made from.
        label: key of the right answer.

    Raises:
        ConfigurationError: the file is missing or holds bad rows.
    """

    def parsed(line: int, record: Mapping[str, Any]) -> Pair:
        right = label_in(record, label)
        if right is None:
            raise ValueError(f"'{label}' holds nothing, expected a whole number or the name of a class")
        recipe = f"/{text_in(record, 'recipe')}" if record.get("recipe") is not None else ""
        misled = text_in(record, "result") == SUCCESSFUL if record.get("result") is not None else None
        texts = text_in(record, original), text_in(record, text)
        return Pair(str(path), line, f"{path.stem}{recipe}", *texts, right, misled)

    return read_objects(path, (text, original, label), parsed)
