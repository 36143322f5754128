"""How much of a text an attack has changed, counted by us and not by the attack."""

from __future__ import annotations

from collections.abc import Sequence

from stabbench.data.example import Text


def words(text: Text) -> list[str]:
    """Return the words of a sentence or pair: stretches without spaces that hold a letter or a digit."""
    whole = text if isinstance(text, str) else " ".join(text)
    return [word for word in whole.split() if any(map(str.isalnum, word))]


def words_changed(before: Text, after: Text) -> int:
    """Return the least number of words to replace, insert or delete to get from one text to the other (Levenshtein)."""
    return _distance(words(before), words(after))


def _distance(a: Sequence[str], b: Sequence[str]) -> int:
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]
