"""Missing Chinese characters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits


@dataclass(frozen=True)
class ZhDrop(CharacterEdits):
    """Leaves Chinese characters out."""

    version: ClassVar[int] = 1
    rates: ClassVar[tuple[float, float, float, float, float]] = (0.02, 0.05, 0.10, 0.15, 0.25)
    sample: ClassVar[str] = "这家酒店的房间很干净，服务员也非常热情，下次还会再来。"
    paper: ClassVar[str] = "Wei and Zou 2019, arXiv:1901.11196 (random deletion), on characters"
    equation: ClassVar[str] = """
        Each CJK ideograph is left out where its draw u ~ U[0, 1) is below r. Edits at rate r are edits at every higher
        rate.
    """
    changes: ClassVar[str] = "Chinese characters; everything else stays."
    cost: ClassVar[str] = "About 10 µs a sentence; no model."
    departures: ClassVar[str] = "Characters, since words are not set apart by spaces."
    pitfalls: ClassVar[str] = "A dropped 不 turns a sentence round: read severity 5 as loss of information."

    def replacement(self, character: str, draw: int) -> str | None:
        """Return nothing in place of an ideograph."""
        return "" if is_ideograph(character) else None


def is_ideograph(character: str) -> bool:
    """Say whether a character is one of the CJK unified ideographs, extension A included."""
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf"
