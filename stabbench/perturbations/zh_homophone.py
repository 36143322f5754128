"""Chinese characters that sound alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stabbench.perturbations._places import CharacterEdits

_GROUPS = """
的得地 在再 他她它 做作坐座 以已 那哪 像象向 带戴代 是事室 有又友 到道 经京 时实 会汇
和合河 想响 好号 心新 中终钟 前钱 里理礼 身深 意义易 员园圆 气汽 公工功 房防 店电 服福
价架假 书舒输 机鸡 爱碍 买卖 请清轻 住注 饭范 长常场 只支之知
"""
SOUNDS: dict[str, str] = {c: group.replace(c, "") for group in _GROUPS.split() for c in group}


@dataclass(frozen=True)
class ZhHomophone(CharacterEdits):
    """Replaces Chinese characters by others of the same sound."""

    version: ClassVar[int] = 1
    sample: ClassVar[str] = "他在做饭的时候已经知道，这间房子干净，大人们未必喜欢那本书，太阳像火一样。"
    paper: ClassVar[str] = "Own table of confusions that are frequent in typed Chinese"
    equation: ClassVar[str] = """
        Each character of the table becomes another of its group where its draw u ~ U[0, 1) is below r, chosen by low
        digits of u. Edits at rate r are edits at every higher rate.
    """
    changes: ClassVar[str] = "Chinese characters of 39 groups of one sound; length stays."
    cost: ClassVar[str] = "About 15 µs a sentence; no model."
    departures: ClassVar[str] = "A table of frequent confusions instead of a pronouncing dictionary."
    pitfalls: ClassVar[str] = "A text in another script has no-ops only."

    def replacement(self, character: str, draw: int) -> str | None:
        """Return another character of the group."""
        others = SOUNDS.get(character)
        return others[draw % len(others)] if others else None
