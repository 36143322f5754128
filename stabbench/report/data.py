"""What the page shows, as plain values: the templates only format these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stabbench.report.figures.svg import Drawing
from stabbench.report.visible import Piece


@dataclass(frozen=True)
class Cell:
    """One table cell: what is printed, and the exact value behind it for readers of the page's source."""

    text: str
    value: float | None = None
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column heads its rows."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class ClaimRow:
    """One claim as printed.

    Attributes:
        id: anchor, a hash of the claim's id, so that links survive new runs.
        glyph, word: the verdict, never by colour alone.
        bar: interval against the margin, as percentages of the bar's width: low, high, effect, margin low, margin high,
            zero; None where there is no interval.
    """

    id: str
    label: str
    contrast: str
    reference: Cell
    candidate: Cell
    effect: Cell
    interval: str
    bar: Mapping[str, float] | None
    p: str
    n: str
    glyph: str
    word: str
    reason: str
    primary: bool


@dataclass(frozen=True)
class GateRow:
    """One gate rule on one group: what was asked, what it came to as glyph and word, and why."""

    rule: str
    glyph: str
    word: str
    reason: str
    known: str


@dataclass(frozen=True)
class AttackExample:
    """One attacked text: outcome and words changed in each arm."""

    example: str
    group: str
    label: str
    arms: Sequence[tuple[str, str, str, Sequence[Piece]]]  # variant, outcome, predictions, diff


@dataclass(frozen=True)
class Section:
    """One part of the page: takeaway, figures, tables, examples."""

    id: str
    title: str
    lead: str
    drawings: Sequence[Drawing] = ()
    tables: Sequence[Table] = ()
    examples: Sequence[AttackExample] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class CellMatrix:
    """States of all cells: probes as columns, trials as rows."""

    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Page:
    """The whole report."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    sentence: str
    primary: Sequence[ClaimRow]
    secondary: Sequence[ClaimRow]
    warnings: Sequence[str]
    sections: Sequence[Section]
    matrix: CellMatrix
    errors: Sequence[tuple[str, str, str]]
    environment: Sequence[tuple[str, str]]
    suite_text: str
    commands: Sequence[str]
    machine: str
    watermark: str = ""
    gate: Sequence[GateRow] = field(default_factory=tuple)
    gate_sentence: str = ""
    kind: Literal["study", "audit"] = "study"
    contents: Sequence[tuple[str, str]] = field(default_factory=tuple)


def text_cell(text: Any) -> Cell:
    """Return a cell of words."""
    return Cell(str(text), None, numeric=False)
