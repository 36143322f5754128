"""A suite file as plain values, with the place of every value: YAML 1.2, one `extends`, ``--set`` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from stabbench.errors import ConfigurationError, Problem

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a value stands: file, 1-based line and column; no line for a ``--set``."""

    file: str
    line: int | None = None
    column: int | None = None


@dataclass
class Document:
    """A suite file's content.

    Attributes:
        content: plain dicts, lists and scalars.
        places: path of a key or an item → where it stands.
    """

    content: dict[str, Any]
    places: dict[KeyPath, Place] = field(default_factory=dict)

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """Return a problem at `path`, placed there or at the nearest parent that has a place."""
        for length in range(len(path), -1, -1):
            if place := self.places.get(tuple(path[:length])):
                return Problem(message, place.file, place.line, place.column, dotted(path))
        return Problem(message, path=dotted(path))

    def value(self, path: Sequence[str | int]) -> Any:
        """Return the value at `path`, or None where there is none."""
        value: Any = self.content
        for part in path:
            inside = (isinstance(value, Mapping) and part in value) or (
                isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)
            )
            if not inside:
                return None
            value = value[part]
        return value


def dotted(path: Sequence[str | int]) -> str:
    """Return ``variants.stabilized.stabilizers[0]`` for a path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def read_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Read a suite file, merge it over the one that it extends, and apply ``KEY=VALUE`` overrides.

    Raises:
        ConfigurationError: the file cannot be read or parsed, has a key twice, extends a file that extends another, or
            an override cannot be read.
    """
    document = _read(path)
    base_name = document.content.pop("extends", None)
    if base_name is not None:
        document = _merged(_base(path, base_name, document), document)
    for override in overrides:
        _apply(document, override)
    return document


def _base(path: Path, name: object, document: Document) -> Document:
    if not isinstance(name, str) or not (path.parent / name).is_file():
        raise ConfigurationError([document.problem(["extends"], f"no file '{name}' beside {path.name}")])
    base = _read(path.parent / name)
    if "extends" in base.content:
        problem = base.problem(["extends"], f"{name} extends another file; a suite has at most one 'extends'")
        raise ConfigurationError([problem])
    return base


def _read(path: Path) -> Document:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigurationError([Problem("is not UTF-8", str(path), line)]) from error
    except OSError as error:
        raise ConfigurationError([Problem(f"cannot be read: {error.strerror}", str(path))]) from error
    try:
        content = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        raise ConfigurationError([_syntax_problem(path, error)]) from error
    if not isinstance(content, CommentedMap):
        raise ConfigurationError(
            [Problem("must be a mapping with keys such as name, data, model, variants", str(path), 1)]
        )
    document = Document({})
    plain = _plain(content, (), str(path), document)
    document.places[()] = Place(str(path), 1, 1)
    document.content = plain
    return document


def _syntax_problem(path: Path, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = " ".join(str(error.problem or error.context or error).split())
    if message.startswith("found duplicate key"):
        message = message.split(" with value")[0].replace("found duplicate key", "this key stands twice:")
    if mark is None:
        return Problem(message, str(path))
    return Problem(message, str(path), mark.line + 1, mark.column + 1)


def _plain(value: Any, path: KeyPath, file: str, document: Document) -> Any:
    """Return plain values and note the place of each key and item."""
    if isinstance(value, CommentedMap):
        plain = {}
        for key, item in value.items():
            line, column = value.lc.key(key)
            here = (*path, str(key))
            document.places[here] = Place(file, line + 1, column + 1)
            if not isinstance(key, str):
                raise ConfigurationError([document.problem(here, f"key {key!r} must be text")])
            plain[str(key)] = _plain(item, here, file, document)
        return plain
    if isinstance(value, CommentedSeq):
        for index in range(len(value)):
            line, column = value.lc.item(index)
            document.places[(*path, index)] = Place(file, line + 1, column + 1)
        return [_plain(item, (*path, index), file, document) for index, item in enumerate(value)]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """Return the builtin type of a scalar: the round-trip reader gives subclasses that remember their formatting."""
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _merged(base: Document, child: Document) -> Document:
    """Return `child` over `base`: mappings are merged key by key, everything else is replaced."""

    def merge(lower: Any, upper: Any) -> Any:
        if isinstance(lower, dict) and isinstance(upper, dict):
            return {
                k: merge(lower[k], upper[k]) if k in lower and k in upper else upper.get(k, lower.get(k))
                for k in lower | upper
            }
        return upper

    return Document(merge(base.content, child.content), {**base.places, **child.places})


def _apply(document: Document, override: str) -> None:
    """Set one ``KEY=VALUE``; keys may be those of the schema, but no new variant, probe or monitor is invented."""
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigurationError([Problem(f"'{override}': expected KEY=VALUE, as in train.epochs=5", "--set")])
    try:
        value = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        raise ConfigurationError([Problem(f"'{override}': the value is not YAML", "--set")]) from error
    target: Any = document.content
    for depth, part in enumerate(parts[:-1]):
        target = _entered(target, part, parts[: depth + 1], override)
    leaf: str | int = int(parts[-1]) if isinstance(target, list) and parts[-1].isdigit() else parts[-1]
    named = len(parts) > 1 and parts[-2] in ("variants", "probes", "monitors")
    if (
        not isinstance(target, dict | list)
        or (named and leaf not in target)
        or (isinstance(target, list) and leaf not in range(len(target)))
    ):
        known = sorted(target) if isinstance(target, dict) else []
        hint = f" There: {', '.join(known)}." if known else ""
        raise ConfigurationError([Problem(f"'{override}': there is no '{key}' to set.{hint}", "--set")])
    target[leaf] = value  # type: ignore[index]
    document.places[tuple(int(p) if p.isdigit() else p for p in parts)] = Place(f"--set {override}")


def _entered(target: Any, part: str, path: Sequence[str], override: str) -> Any:
    if isinstance(target, list) and part.isdigit() and int(part) < len(target):
        return target[int(part)]
    if isinstance(target, dict):
        if len(path) == 1 and part not in target:
            target[part] = {}
        if part in target:
            if target[part] is None:
                target[part] = {}
            return target[part]
    raise ConfigurationError([Problem(f"'{override}': there is no '{'.'.join(path)}' in this suite", "--set")])
