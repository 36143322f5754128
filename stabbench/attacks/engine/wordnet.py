"""WordNet 3.0 for textattack: found in NLTK's data folders or in Debian's package, never downloaded.

NLTK wants two files that Debian's package ``wordnet-base`` leaves out: the names of the lexicographer files, which are
ours, and the index of sense keys, which nothing here reads and which is empty.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

# Where NLTK looks by itself, beside the folders that NLTK_DATA names.
_NLTK_FOLDERS = ("~/nltk_data", "/usr/share/nltk_data", "/usr/local/share/nltk_data", "/usr/lib/nltk_data")
DEBIAN = Path("/usr/share/wordnet")
NEEDED = tuple(f"{kind}.{pos}" for kind in ("data", "index") for pos in ("noun", "verb", "adj", "adv"))
"""Files of WordNet's database that a search cannot do without."""
# Names of the lexicographer files by number, from the manual page lexnames(5WN) of WordNet 3.0.
_ADJECTIVES, _ADVERBS = ("all", "pert"), ("all",)
_NOUNS = (
    "Tops", "act", "animal", "artifact", "attribute", "body", "cognition", "communication", "event", "feeling", "food",
    "group", "location", "motive", "object", "person", "phenomenon", "plant", "possession", "process", "quantity",
    "relation", "shape", "state", "substance", "time",
)  # fmt: skip
_VERBS = (
    "body", "change", "cognition", "communication", "competition", "consumption", "contact", "creation", "emotion",
    "motion", "perception", "possession", "social", "stative", "weather",
)  # fmt: skip


def missing(recipe: str) -> str | None:
    """Return what `recipe` lacks and what would get it, or None where WordNet is at hand."""
    if _in_nltk_data() or _database() is not None:
        return None
    return (
        f"{recipe} needs WordNet 3.0: install the package wordnet-base of Debian or Ubuntu (apt-get install "
        "wordnet-base), or set WNSEARCHDIR to a folder with its data.* and index.* files, or NLTK_DATA to one "
        "with corpora/wordnet"
    )


def provide() -> None:
    """Put WordNet on NLTK's search path where there is WordNet and NLTK does not find it by itself; once is enough."""
    import nltk

    database = _database()
    if database is not None and not _in_nltk_data() and (folder := str(_prepared(database))) not in nltk.data.path:
        nltk.data.path.append(folder)


def lexnames() -> str:
    """Return the file ``lexnames``: number, name and part of speech (1 noun, 2 verb, 3 adjective, 4 adverb) by line."""
    named = [(f"adj.{name}", 3) for name in _ADJECTIVES] + [(f"adv.{name}", 4) for name in _ADVERBS]
    named += [(f"noun.{name}", 1) for name in _NOUNS] + [(f"verb.{name}", 2) for name in _VERBS] + [("adj.ppl", 3)]
    return "".join(f"{number:02d}\t{name}\t{pos}\n" for number, (name, pos) in enumerate(named))


def _in_nltk_data() -> bool:
    folders = [*filter(None, os.environ.get("NLTK_DATA", "").split(os.pathsep)), *_NLTK_FOLDERS]
    corpora = [Path(folder).expanduser() / "corpora" for folder in folders]
    return any((folder / "wordnet.zip").exists() or _complete(folder / "wordnet", "lexnames") for folder in corpora)


def _database() -> Path | None:
    """Return the folder of WordNet's database: the one WordNet's own variable names, or Debian's."""
    named = os.environ.get("WNSEARCHDIR")
    folders: Iterable[Path] = [Path(named)] if named else [DEBIAN]
    return next((folder for folder in folders if _complete(folder)), None)


def _complete(folder: Path, *more: str) -> bool:
    return all((folder / name).is_file() for name in (*NEEDED, *more))


@cache
def _prepared(database: Path) -> Path:
    """Return an NLTK data folder that lasts as long as the process: copies, since NLTK refuses links out of it."""
    root = Path(tempfile.mkdtemp(prefix="stabbench-wordnet-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    folder = root / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    # Beside the database proper: irregular forms, and how often a sense is met, which orders the senses.
    for name in (*NEEDED, "noun.exc", "verb.exc", "adj.exc", "adv.exc", "cntlist.rev", "lexnames", "index.sense"):
        if (database / name).is_file():
            shutil.copyfile(database / name, folder / name)
    for name, content in (("lexnames", lexnames()), ("index.sense", "")):
        if not (folder / name).exists():
            (folder / name).write_text(content, encoding="ascii")
    return root
