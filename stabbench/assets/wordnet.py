"""Where WordNet 3.0 lies on this machine: in NLTK's data folders or in Debian's package. Never downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

# Where NLTK looks by itself, beside the folders that NLTK_DATA names.
_NLTK_FOLDERS = ("~/nltk_data", "/usr/share/nltk_data", "/usr/local/share/nltk_data", "/usr/lib/nltk_data")
DEBIAN = Path("/usr/share/wordnet")
NEEDED = tuple(f"{kind}.{pos}" for kind in ("data", "index") for pos in ("noun", "verb", "adj", "adv"))
"""Files of WordNet's database that a search cannot do without."""


def missing(user: str) -> str | None:
    """Return what `user`, a plug-in's name, lacks and what would get it, or None where WordNet is at hand."""
    if in_nltk_data() or database() is not None:
        return None
    return (
        f"{user} needs WordNet 3.0: install the package wordnet-base of Debian or Ubuntu (apt-get install "
        "wordnet-base), or set WNSEARCHDIR to a folder with its data.* and index.* files, or NLTK_DATA to one "
        "with corpora/wordnet"
    )


def database() -> Path | None:
    """Return the folder of WordNet's database: the one WordNet's own variable names, or Debian's."""
    named = os.environ.get("WNSEARCHDIR")
    folders: Iterable[Path] = [Path(named)] if named else [DEBIAN]
    return next((folder for folder in folders if _complete(folder)), None)


def files() -> Path | None:
    """Return a folder with the database's files, NLTK's among them where it is unpacked."""
    unpacked = (folder / "wordnet" for folder in _corpora())
    return database() or next((folder for folder in unpacked if _complete(folder)), None)


def in_nltk_data() -> bool:
    """Return whether NLTK would find WordNet by itself, packed or not."""
    return any((f / "wordnet.zip").exists() or _complete(f / "wordnet", "lexnames") for f in _corpora())


def _corpora() -> list[Path]:
    folders = [*filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep)), *_NLTK_FOLDERS]
    return [Path(folder).expanduser() / "corpora" for folder in folders]


def _complete(folder: Path, *more: str) -> bool:
    return all((folder / name).is_file() for name in (*NEEDED, *more))
