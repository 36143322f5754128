"""Files that options of probes name: where they lie, and what is in them as a hash. No torch.

A name is ``builtin:NAME``, a set that comes with the package, or a path relative to the suite file's folder.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stabbench import registry
from stabbench.errors import Problem, unknown_name
from stabbench.registry import PACKAGE
from stabbench.suite.yaml_file import Document
from stabbench.suite.yaml_nodes import KeyPath

BUILTIN = "builtin:"
SHIPPED = PACKAGE / "data" / "texts"


def shipped_sets(form: str) -> dict[str, Path]:
    """Return ``builtin:NAME`` → file of the sets of a form (``behavior``, ``replay`` …) that come with the package."""
    return {f"{BUILTIN}{path.stem}": path for path in sorted((SHIPPED / form).glob("*.jsonl"))}


def option_file(form: str, name: str, folder: Path) -> Path:
    """Return the file that an option names; it need not exist.

    Args:
        form: what is in the file, by the option's probe.
        name: ``builtin:NAME`` or a path.
        folder: the suite file's folder, which relative paths start from.
    """
    if name.startswith(BUILTIN):
        return SHIPPED / form / f"{name.removeprefix(BUILTIN)}.jsonl"
    return folder / Path(name).expanduser()


def stored_option(form: str, names: object, folder: Path) -> list[list[str]]:
    """Return what of the named files belongs into a key: stem and hash of each; where they lie does not matter."""
    given = names if isinstance(names, list | tuple) else [names]
    files = [option_file(form, str(name), folder) for name in given]
    return [[file.stem, _digest(file)] for file in files]


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"absent:{error.strerror}"


def file_problems(
    card: registry.Card, given: Mapping[str, Any], path: KeyPath, document: Document
) -> Iterator[Problem]:
    """Yield the files in a probe's options that are not there, and those that their names cannot tell apart."""
    place = document.places.get(())
    folder = Path(place.file).parent if place is not None else Path()
    for option, form in card.traits.get("reads", {}).items():
        names = given.get(option, ())
        texts = [name for name in names if isinstance(name, str)] if isinstance(names, list | tuple) else []
        for index, name in enumerate(texts):
            if (message := _problem(form, name, folder)) is not None:
                yield document.problem((*path, option, index), message)
        stems = Counter(option_file(form, name, folder).stem for name in texts)
        for stem in [stem for stem, count in stems.items() if count > 1]:
            yield document.problem((*path, option), f"{stems[stem]} files are named '{stem}'; results go by that name")


def _problem(form: str, name: str, folder: Path) -> str | None:
    file = option_file(form, name, folder)
    if name.startswith(BUILTIN):
        return None if file.is_file() else unknown_name("built-in set", name, shipped_sets(form))
    if file.suffix.lower() != ".jsonl":
        return f"'{name}' is no .jsonl file (one JSON object a line)"
    if not file.is_file():
        found = f"no file '{name}' below {folder.resolve()}, the suite file's folder, which paths are relative to"
        return f"{found}. Correct the path, or take {', '.join(shipped_sets(form)) or 'another file'}"
    return None
