"""GloVe word vectors for textattack, out of the asset `builtin:glove-50d`; neighbours are found when asked for.

textattack's own class needs a matrix of all neighbours beforehand: without it, its search for them raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from textattack.shared import AbstractWordEmbedding

from stabbench.assets.fetch import fetch
from stabbench.attacks.engine.resources import GLOVE

MOST_WORDS = 60_000
"""Words taken, the commonest first: as many as counter-fitted vectors come with (65,713), rounded down."""


class WordVectors(AbstractWordEmbedding):  # type: ignore[misc]
    """Words of letters and their vectors; a word is known by its lower-case form.

    Args:
        words: V words, the commonest first.
        vectors: (V, D) float32, not normalised.
    """

    def __init__(self, words: Sequence[str], vectors: np.ndarray) -> None:
        self.words = list(words)
        self.numbers = {word: number for number, word in enumerate(self.words)}
        self.vectors = vectors
        self.unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        self._near = lru_cache(maxsize=1 << 14)(self._nearest)

    def __getitem__(self, index: Any) -> np.ndarray | None:
        """Return the (D,) vector of a word or number, or None."""
        number = self.numbers.get(index) if isinstance(index, str) else index
        return None if number is None or not 0 <= number < len(self.words) else self.vectors[number]

    def get_mse_dist(self, a: Any, b: Any) -> float:
        """Return ‖v_a − v_b‖₂², as textattack names it."""
        difference = self.vectors[self._number(a)] - self.vectors[self._number(b)]
        return float(difference @ difference)

    def get_cos_sim(self, a: Any, b: Any) -> float:
        """Return the cosine of two words' vectors."""
        return float(self.unit[self._number(a)] @ self.unit[self._number(b)])

    def word2index(self, word: str) -> int:
        """Return a word's number.

        Raises:
            KeyError: it is not known.
        """
        return self.numbers[word]

    def index2word(self, index: int) -> str:
        """Return the word of a number."""
        return self.words[index]

    def nearest_neighbours(self, index: int, topn: int) -> list[int]:
        """Return the `topn` words with the largest cosine, the nearest first, the word itself left out."""
        return list(self._near(index, topn))

    def _nearest(self, index: int, topn: int) -> tuple[int, ...]:
        cosines = self.unit @ self.unit[index]
        cosines[index] = -np.inf
        count = min(topn, len(self.words) - 1)
        found = np.argpartition(-cosines, count - 1)[:count] if count else np.array([], dtype=int)
        return tuple(int(number) for number in sorted(found, key=lambda number: (-cosines[number], number)))

    def _number(self, index: Any) -> int:
        return self.numbers[index] if isinstance(index, str) else int(index)


@cache
def glove() -> WordVectors:
    """Return the commonest words of GloVe 6B that are of ASCII letters alone; read once a process.

    Punctuation and numbers are left out: textattack's encoders raise on a text of which no word was changed.

    Raises:
        AssetError: the asset was not fetched.
    """
    return read_glove(fetch(GLOVE, offline=True))


def read_glove(folder: Path, most: int = MOST_WORDS) -> WordVectors:
    """Return the vectors of a folder with ``glove_6B_50d_emb.npy`` and ``glove_6B_index.parquet``."""
    import pyarrow.parquet

    names = pyarrow.parquet.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()
    kept = [(number, word) for number, word in enumerate(names) if word.isascii() and word.isalpha()][:most]
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return WordVectors([word for _, word in kept], np.asarray(vectors[[n for n, _ in kept]], dtype=np.float32))
