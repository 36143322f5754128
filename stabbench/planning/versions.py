"""Versions that are part of every key, so that a change of the code cannot serve an old result.

A test compares the hash of the training code with the one in ``cards.json`` and fails where the code changed and the
version did not; ``make cards`` accepts a change that was declared by raising the version.
"""

from __future__ import annotations

from pathlib import Path

from stabbench.registry import KINDS, PACKAGE, shipped, source_hash
from stabbench.store.environment import version

ENGINE = 4
"""Raised whenever the same suite would train to other weights, or be measured otherwise by code outside plug-ins."""

TRAINING_LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers")


def engine_files() -> list[Path]:
    """Return the files whose change can change results without changing any plug-in's own file."""
    folders = ("training", "models", "data")
    shared = [file for folder in folders for file in (PACKAGE / folder).rglob("*.py")]
    kinds = [(kind, _plugin_stems(kind)) for kind in KINDS]
    private = [file for kind, stems in kinds for file in (PACKAGE / kind).rglob("*.py") if file.stem not in stems]
    return [PACKAGE / "seeding.py", *shared, *private]


def _plugin_stems(kind: str) -> set[str]:
    return {name.replace("-", "_") for name in shipped(kind)}


def engine_source() -> str:
    """Return the hash of the engine's code."""
    return source_hash(*engine_files())


def libraries(*extra: str) -> dict[str, str | None]:
    """Return the versions of the libraries that decide results."""
    return {name: version(name) for name in (*TRAINING_LIBRARIES, *extra)}
