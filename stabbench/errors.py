"""What can go wrong, and how a user is told.

StabbenchError                 exit code
├── ConfigurationError         2   the suite, the command line or the data is wrong; carries every problem found
├── AssetError                 3   a file that a run needs cannot be had (no network, wrong hash, full disk)
├── IncompleteError            3   what was asked needs a finished run, and the run is not
├── StoreError                 70  the store is unreadable or was damaged
└── NotComparableError         4   two things were asked to be compared that must not be

A *failed run* (training that ended at the majority class or in NaN) is never an exception: it is a result.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Problem:
    """One mistake of the user's: where it stands, what stands there, what is allowed, what to do.

    Attributes:
        message: what is wrong, with the value found and what is allowed instead.
        file: the file's path as the user gave it, or None where the mistake is not in a file.
        line: 1-based line, or None.
        column: 1-based column, or None.
        path: dotted place inside the file, such as ``variants.stabilized.train``.
    """

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return "  ".join(
            part for part in (place, f"{self.path}: {self.message}" if self.path else self.message) if part
        )


class StabbenchError(Exception):
    """Root of every error this project raises on purpose."""

    exit_code: ClassVar[int] = 70


class ConfigurationError(StabbenchError):
    """The suite, the command line or the data is wrong; `problems` holds every one found, in file order."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: Iterable[Problem | str], *, note: str = "Nothing was run.") -> None:
        self.problems: tuple[Problem, ...] = tuple(Problem(p) if isinstance(p, str) else p for p in problems)
        self.note = note
        super().__init__("\n".join(str(problem) for problem in self.problems))


class AssetError(StabbenchError):
    """A file that a run needs cannot be had: no network, a wrong hash, a full disk. No half-written file is left."""

    exit_code: ClassVar[int] = 3


class IncompleteError(StabbenchError):
    """What was asked needs a finished run, and cells are missing."""

    exit_code: ClassVar[int] = 3


class StoreError(StabbenchError):
    """A cell or run folder is unreadable or damaged."""


class NotComparableError(StabbenchError):
    """Two runs or arms differ in what must be equal; the message names the fields."""

    exit_code: ClassVar[int] = 4


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of `known` to `name`, or an empty string where none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Return ``unknown WHAT 'name'. Did you mean 'x'? Allowed: a, b.`` for an error message."""
    allowed = sorted(known)
    return f"unknown {what} '{name}'.{suggestion(str(name), allowed)} Allowed: {', '.join(allowed)}."
