"""Where the words of a text stand, in the text and among its tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stabbench.data.example import Text
from stabbench.models.encoding import TextEncoder

# Letters and digits, with hyphens and apostrophes inside.
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


@dataclass(frozen=True)
class Word:
    """One word of a text.

    Attributes:
        text: the word.
        part: 0 for the sentence or the first of a pair, 1 for the second.
        start, end: its characters are those from `start` to before `end` of its part.
        tokens: positions of its tokens in the encoded text; empty where it was cut off.
    """

    text: str
    part: int
    start: int
    end: int
    tokens: tuple[int, ...]


def words_of(text: Text, encode: TextEncoder) -> list[Word]:
    """Return the words of a sentence or pair, in order."""
    parts = (text,) if isinstance(text, str) else text
    coded = encode.tokenizer(*parts, truncation=True, max_length=encode.max_length, return_offsets_mapping=True)
    places = list(zip(coded.sequence_ids(0), coded["offset_mapping"], strict=True))
    found = []
    for index, part in enumerate(parts):
        for match in _WORD.finditer(part):
            start, end = match.span()
            tokens = [n for n, (of, (first, last)) in enumerate(places) if of == index and first < end and last > start]
            found.append(Word(match[0], index, start, end, tuple(tokens)))
    return found


def with_words(text: Text, words: Sequence[Word], changes: Mapping[int, str]) -> Text:
    """Return the text with word `words[i]` replaced by `changes[i]`, for every i in `changes`."""
    parts = [text] if isinstance(text, str) else list(text)
    for index in sorted(changes, key=lambda i: (words[i].part, words[i].start), reverse=True):
        word = words[index]
        part = parts[word.part]
        parts[word.part] = part[: word.start] + changes[index] + part[word.end :]
    return parts[0] if isinstance(text, str) else (parts[0], parts[1])
