"""Texts that nobody should write and somebody does; each must be measured, or refused by name."""

from __future__ import annotations

HOSTILE: dict[str, str] = {
    "empty": "",
    "blank": " \t ",
    "one-token": "good",
    "one-mark": "!",
    "long-word": "a" * 10_000,
    "long-text": ("good dull film " * 667)[:10_000],
    "emoji": "\N{PILE OF POO}\N{FAMILY}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{EMOJI MODIFIER FITZPATRICK TYPE-5}",
    "right-to-left": "\u202eטוב מאוד\u202c سيئ good",
    "control": "good\x00film\x07 \x1b[31mbad\x1b[0m\x7f",
    "html": '<script>alert("good")</script><b>bad</b> &amp; &#0;',
    "split-mark": "good <SPLIT> film [MASK] [SEP]",
    "combining": "g\u0301o\u0308o\u0323d\u200b \ufeffba\u00add",
    "unknown-script": "电影很好 ကောင်း 𝒢𝑜𝑜𝒹",
    "lines": "good\r\nfilm\u2028bad\u0085",
}
