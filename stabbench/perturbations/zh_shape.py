"""Chinese characters that look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits

_GROUPS = """
己已巳 未末 人入八 大太犬 土士 日曰 干千于 天夭无 木本术 间问闻 我找 拨拔 侯候 令今
免兔 鸟乌 王玉主 力刀 贝见 住往 清请情 晴睛 底低 便使 体休 直真 房户 服报 处外 着看
没设 话活 很根 说脱 书节 店点 明朋 快块 因困
"""
SHAPES: dict[str, str] = {c: group.replace(c, "") for group in _GROUPS.split() for c in group}


@dataclass(frozen=True)
class ZhShape(CharacterEdits):
    """Replaces Chinese characters by others of nearly the same shape."""

    version: ClassVar[int] = 1
    sample: ClassVar[str] = "他在做饭的时候已经知道，这间房子干净，大人们未必喜欢那本书，太阳像火一样。"
    paper: ClassVar[str] = "Own table of confusions that are frequent in typed Chinese"
    equation: ClassVar[str] = """
        Each character of the table becomes another of its group where its draw u ~ U[0, 1) is below r, chosen by low
        digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = "Chinese characters of 39 groups of one shape; length stays."
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = "A table of frequent confusions instead of distances between glyphs."
    pitfalls: ClassVar[str] = "A text in another script has no-ops only."

    def replacement(self, character: str, draw: int) -> str | None:
        """Return another character of the group."""
        others = SHAPES.get(character)
        return others[draw % len(others)] if others else None
