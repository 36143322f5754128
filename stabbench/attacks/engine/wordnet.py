"""WordNet 3.0 for textattack: found in NLTK's data folders or in Debian's package, never downloaded.

NLTK wants two files that Debian's package ``wordnet-base`` leaves out: the names of the lexicographer files, which are
ours, and the index of sense keys, which nothing here reads and which is empty.
"""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

from stabbench.assets.wordnet import NEEDED as NEEDED
from stabbench.assets.wordnet import database, in_nltk_data
from stabbench.assets.wordnet import missing as missing
from stabbench.attacks.engine.private_folder import close_to_others, private_folder

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


def provide() -> None:
    """Put WordNet on NLTK's search path where there is WordNet and NLTK does not find it by itself; once is enough."""
    import nltk

    found = database()
    if found is not None and not in_nltk_data() and (folder := str(_prepared(found))) not in nltk.data.path:
        nltk.data.path.append(folder)


def lexnames() -> str:
    """Return the file ``lexnames``: number, name and part of speech (1 noun, 2 verb, 3 adjective, 4 adverb) by line."""
    named = [(f"adj.{name}", 3) for name in _ADJECTIVES] + [(f"adv.{name}", 4) for name in _ADVERBS]
    named += [(f"noun.{name}", 1) for name in _NOUNS] + [(f"verb.{name}", 2) for name in _VERBS] + [("adj.ppl", 3)]
    return "".join(f"{number:02d}\t{name}\t{pos}\n" for number, (name, pos) in enumerate(named))


@cache
def _prepared(database: Path) -> Path:
    """Return an NLTK data folder that lasts as long as the process: copies, since NLTK refuses links out of it."""
    root = private_folder("stabbench-wordnet-")
    folder = root / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    # Beside the database proper: irregular forms, and how often a sense is met, which orders the senses.
    for name in (*NEEDED, "noun.exc", "verb.exc", "adj.exc", "adv.exc", "cntlist.rev", "lexnames", "index.sense"):
        if (database / name).is_file():
            shutil.copyfile(database / name, folder / name)
    for name, content in (("lexnames", lexnames()), ("index.sense", "")):
        if not (folder / name).exists():
            (folder / name).write_text(content, encoding="ascii")
    return close_to_others(root)
