"""What a compressor is: it makes a smaller or faster subject and leaves the one it is given untouched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from stabbench.data.example import Text
from stabbench.models.subject import Subject
from stabbench.registry import Plugin


class Compressor(Plugin):
    """Makes a compressed artifact in a folder, and a subject from the folder.

    A subclass is a frozen dataclass whose fields are its options.

    Attributes:
        instruction_set: True where the result depends on the processor's instruction set; then it is part of the key.
    """

    instruction_set: ClassVar[bool] = False

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return what the key needs to know."""
        return {"instruction_set": cls.instruction_set}

    def compress(self, subject: Subject, calibration: Sequence[Text], folder: Path) -> None:
        """Write the artifact of `subject` into the empty `folder`; `calibration` holds training texts only."""
        raise NotImplementedError

    def load(self, folder: Path, parent: Subject) -> Subject:
        """Return the subject of the artifact in `folder`; tokenizer and classes come from `parent`."""
        raise NotImplementedError
