"""Plug-in look-up: a plug-in is one file, and the file's name is the plug-in's name in a suite.

Listing reads folder names and entry points and imports nothing; `card` reads the committed card file, so that
``list``, ``show``, ``validate``, ``plan`` and ``schema`` need no torch; only `load` imports, and only one file.
Third parties register classes under the entry-point groups ``stabbench.stabilizers``, ``stabbench.probes`` and so on.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from stabbench.errors import ConfigurationError, unknown_name

PACKAGE = Path(__file__).parent
CARDS = PACKAGE / "cards.json"
# Kind → what one of them is called, and how words of its names are joined in a suite.
KINDS: dict[str, tuple[str, str]] = {
    "stabilizers": ("stabilizer", "_"),
    "monitors": ("monitor", "_"),
    "probes": ("probe", "_"),
    "perturbations": ("perturbation", "_"),
    "attacks": ("attack", "-"),
    "compression": ("compressor", "-"),
}


class Plugin:
    """What every plug-in declares beside its typed options (the dataclass fields, which are its schema).

    Attributes:
        version: raised whenever results change; part of every key that depends on the plug-in.
        paper: the source: authors, year, arXiv number or venue.
        equation: what it computes, in the paper's symbols.
        changes: what it changes, in one sentence.
        cost: cost per step or per text, in forward and backward passes.
        departures: where it departs from the source.
        pitfalls: what goes wrong in practice.
    """

    version: ClassVar[int] = 1
    paper: ClassVar[str] = ""
    equation: ClassVar[str] = ""
    changes: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    departures: ClassVar[str] = "none"
    pitfalls: ClassVar[str] = "none known"

    @classmethod
    def traits(cls) -> dict[str, Any]:
        """Return what the planner must know of the class without importing it; kinds add their own."""
        return {}

    def options(self) -> dict[str, Any]:
        """Return the options by name: the dataclass fields."""
        return (
            {f.name: getattr(self, f.name) for f in dataclasses.fields(self)} if dataclasses.is_dataclass(self) else {}
        )


@dataclasses.dataclass(frozen=True)
class Card:
    """What is known of a plug-in without importing it.

    Attributes:
        name: its name in a suite.
        summary: first line of the class docstring.
        schema: JSON Schema of the options, with defaults, bounds and descriptions.
        version: see `Plugin`; as are the other texts.
        traits: what the planner needs, by kind of plug-in.
        source: hash of the file's code, comments and docstrings left out.
    """

    name: str
    summary: str
    version: int
    paper: str
    equation: str
    changes: str
    cost: str
    departures: str
    pitfalls: str
    schema: Mapping[str, Any]
    traits: Mapping[str, Any]
    source: str

    def defaults(self) -> dict[str, Any]:
        """Return the default of every option that has one."""
        properties = self.schema.get("properties", {})
        return {name: spec["default"] for name, spec in properties.items() if "default" in spec}


@cache
def names(kind: str) -> tuple[str, ...]:
    """Return the names of all plug-ins of a kind: shipped ones by file name, others by entry point, sorted."""
    return tuple(sorted({*shipped(kind), *_entry_points(kind)}))


@cache
def shipped(kind: str) -> tuple[str, ...]:
    """Return the names of the plug-ins that are files of this package; `base`, folders and `_private` are none."""
    separator = KINDS[kind][1]
    files = pkgutil.iter_modules([str(PACKAGE / kind)])
    return tuple(
        sorted(
            f.name.replace("_", separator)
            for f in files
            if not f.ispkg and f.name != "base" and not f.name.startswith("_")
        )
    )


def module_name(kind: str, name: str) -> str:
    """Return the module that holds a shipped plug-in."""
    return f"stabbench.{kind}.{name.replace('-', '_')}"


def load(kind: str, name: str) -> type[Any]:
    """Import one plug-in's file and return its class.

    Raises:
        ConfigurationError: no plug-in of that kind has that name.
    """
    if name in shipped(kind):
        module = importlib.import_module(module_name(kind, name))
        classes = public_classes(module)
        assert len(classes) == 1, f"{module.__name__} must have one public class, has {[c.__name__ for c in classes]}"
        return classes[0]
    if name in _entry_points(kind):
        loaded: type[Any] = _entry_points(kind)[name].load()
        return loaded
    raise ConfigurationError([unknown_name(KINDS[kind][0], name, names(kind))])


def public_classes(module: Any) -> list[type[Any]]:
    """Return the public plug-in classes that a module itself defines."""
    return [
        item
        for name, item in vars(module).items()
        if inspect.isclass(item)
        and issubclass(item, Plugin)
        and item.__module__ == module.__name__
        and not name.startswith("_")
    ]


def card(kind: str, name: str) -> Card:
    """Return a plug-in's card: from the committed card file, or made on the spot for a third party's.

    Raises:
        ConfigurationError: no plug-in of that kind has that name.
    """
    stored = card_file().get(kind, {}).get(name)
    if stored is not None:
        return Card(name=name, **stored)
    if name not in names(kind):
        raise ConfigurationError([unknown_name(KINDS[kind][0], name, names(kind))])
    return make_card(kind, name)


@cache
def card_file() -> dict[str, Any]:
    """Return the committed card file: kind → name → card, and ``engine`` with the hash of the training code."""
    if not CARDS.exists():
        return {}
    content: dict[str, Any] = json.loads(CARDS.read_text(encoding="utf-8"))
    return content


def make_card(kind: str, name: str) -> Card:
    """Import a plug-in and return its card."""
    from pydantic import TypeAdapter

    cls = load(kind, name)
    schema = TypeAdapter(cls).json_schema()
    schema = {"type": "object", "properties": {}, **schema, "additionalProperties": False}
    schema.pop("description", None)
    texts = ("paper", "equation", "changes", "cost", "departures", "pitfalls")
    return Card(
        name=name,
        summary=(inspect.getdoc(cls) or "").strip().split("\n")[0],
        version=cls.version,
        schema=schema,
        traits=cls.traits(),
        source=source_hash(Path(inspect.getfile(cls))),
        **{text: inspect.cleandoc(getattr(cls, text)) for text in texts},
    )


def source_hash(*files: Path) -> str:
    """Return a hash of the code of `files`, blind to comments, docstrings and layout."""
    import ast
    import hashlib

    digest = hashlib.sha256()
    for file in sorted(files):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if (
                isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                node.body = body[1:]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


@cache
def _entry_points(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=f"stabbench.{kind}")}
