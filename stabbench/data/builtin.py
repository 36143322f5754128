"""The built-in data sets: real review sentences, and generated ones for tests and ``--smoke``."""

from __future__ import annotations

import bz2
import csv
import hashlib
import io
from pathlib import Path

from stabbench.data.reading import RawRow
from stabbench.seeding import random_for

Pool = list[tuple[str, RawRow]]
CORPUS = "rotten_tomatoes_corpus_full.csv.bz2"
LABELS = ("fresh", "rotten")
# Shares of the texts in the pools that train, validation and test are drawn from.
TRAIN_SHARE, VALIDATION_SHARE = 0.6, 0.2
TINY_PER_POOL = (256, 64, 128)
GOOD = ("good", "great", "fine", "warm", "bright", "lovely")
BAD = ("bad", "dull", "poor", "cold", "grim", "awful")
NOUNS = ("film", "story", "plot", "scene", "actor", "song", "ending", "script")
FILLERS = ("the", "a", "this", "that", "very", "so", "quite", "and", "with", "of")


def rotten_tomatoes(folder: Path) -> tuple[Pool, Pool, Pool]:
    """Return the pools (train, validation, test) of the review sentences.

    Rows of category ``plot`` are no reviews and are left out, as are repeats of a text (56; the first stays).
    A text's pool is decided by a hash of the text alone. Ids are ``rotten-tomatoes:<row of the file>``.
    """
    text = bz2.decompress((folder / CORPUS).read_bytes()).decode("utf-8")
    pools: tuple[Pool, Pool, Pool] = ([], [], [])
    seen: set[str] = set()
    for number, record in enumerate(csv.DictReader(io.StringIO(text, newline="")), 1):
        sentence = record["text"].strip()
        if record["category"] in LABELS and sentence and sentence not in seen:
            seen.add(sentence)
            row = RawRow(number, sentence, None, record["category"])
            pools[_pool(sentence)].append((f"rotten-tomatoes:{number}", row))
    return pools


def _pool(text: str) -> int:
    share = int.from_bytes(hashlib.sha256(f"pool\x1f{text}".encode()).digest()[:8], "big") / 2**64
    return 0 if share < TRAIN_SHARE else 1 if share < TRAIN_SHARE + VALIDATION_SHARE else 2


def tiny_sentences() -> tuple[Pool, Pool, Pool]:
    """Return pools of generated sentences of two classes, told apart by one word each: learnable in seconds."""
    rng = random_for("builtin:tiny")
    pools: list[Pool] = []
    number = 0
    for size in TINY_PER_POOL:
        pool: Pool = []
        for index in range(size):
            number += 1
            words = [rng.choice(FILLERS + NOUNS) for _ in range(rng.randrange(2, 9))]
            words.insert(rng.randrange(len(words) + 1), rng.choice(BAD if index % 2 else GOOD))
            pool.append((f"tiny:{number}", RawRow(number, " ".join(words), None, "bad" if index % 2 else "good")))
        pools.append(pool)
    return pools[0], pools[1], pools[2]
