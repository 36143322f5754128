"""A suite file as plain values, with the place of every value: YAML 1.2, one `extends`, ``--set`` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stabbench.errors import ConfigurationError, Problem, unknown_name
from stabbench.suite.schema import Suite
from stabbench.suite.yaml_nodes import KeyPath, Place, dotted, plain_values

# Mappings whose keys are names that the suite itself gives or chooses; `--set` reaches into them and adds none.
NAMED = {"variants": "variant", "probes": "probe of this suite", "monitors": "monitor of this suite"}
# Those of them that a suite has even where it does not mention them.
DEFAULTED = ("probes", "monitors")


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
                return Problem(message, place.file, place.line, place.column, dotted(tuple(path)))
        return Problem(message, path=dotted(tuple(path)))

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

    def put(self, path: KeyPath, value: Any, place: Place) -> None:
        """Set the value at `path`, whose parent is there; what stood below it has no place any more."""
        parent: Any = self.value(path[:-1]) if path[:-1] else self.content
        parent[path[-1]] = value
        for known in [known for known in self.places if known[: len(path)] == path]:
            del self.places[known]
        self.places[path] = place


def read_document(path: Path, overrides: Sequence[str] = ()) -> Document:
    """Read a suite file, merge it over the one that it extends, and apply ``KEY=VALUE`` overrides.

    Raises:
        ConfigurationError: the file cannot be read or parsed, has a key twice, extends a file that extends another, or
            overrides cannot be read (all of them are named).
    """
    document = _read(path)
    if "extends" in document.content:
        document = _merged(_base(path, document.content.pop("extends"), document), document)
    problems: list[Problem] = []
    for override in overrides:
        try:
            _apply(document, override)
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        raise ConfigurationError(problems)
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
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise ConfigurationError([Problem("is not UTF-8; save it as UTF-8", str(path), line, column)]) from error
    except OSError as error:
        raise ConfigurationError([Problem(f"cannot be read: {error.strerror}", str(path))]) from error
    content, places = plain_values(text, str(path))
    if not isinstance(content, dict):
        found = "is empty" if content is None else "is a list" if isinstance(content, list) else "is a single value"
        message = f"{found}; a suite is a mapping with keys such as name, data, model, variants"
        raise ConfigurationError([Problem(message, str(path), 1, 1)])
    return Document(content, {**places, (): Place(str(path), 1, 1)})


def _merged(base: Document, child: Document) -> Document:
    """Return `child` over `base`: mappings are merged key by key, everything else is replaced."""
    replaced: list[KeyPath] = []

    def merge(lower: Any, upper: Any, path: KeyPath) -> Any:
        if isinstance(lower, dict) and isinstance(upper, dict):
            both = {key: merge(lower[key], upper[key], (*path, key)) for key in lower if key in upper}
            return {**lower, **upper, **both}
        replaced.append(path)
        return upper

    content = merge(base.content, child.content, ())
    kept = {path: place for path, place in base.places.items() if not any(path[: len(r)] == r for r in replaced)}
    return Document(content, {**kept, **child.places})


def _apply(document: Document, override: str) -> None:
    """Set one ``KEY=VALUE``: KEY is dotted, and in a list an index or the name of an entry; VALUE is YAML.

    A key that no suite may have is set, and is found by the checks of the whole suite, placed at its ``--set``.
    """
    place = Place(f"--set {override}")
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigurationError([Problem("expected KEY=VALUE, as in train.epochs=5", place.file)])
    try:
        value, _ = plain_values(text, place.file)
    except ConfigurationError as error:
        message = f"the value is not plain YAML: {error.problems[0].message}"
        raise ConfigurationError([Problem(message, place.file)]) from error
    if parts == ["data", "root"] and isinstance(value, str):
        # A path on the command line starts from the current folder, as paths on command lines do.
        value = str(Path(value).expanduser().absolute())
    path: KeyPath = ()
    if parts[0] in DEFAULTED and parts[0] not in document.content:
        document.put((parts[0],), Suite.model_fields[parts[0]].get_default(call_default_factory=True), place)
    while parts:
        step, parts = _step(document, path, parts, place.file)
        path = (*path, *step)
        if parts and document.value(path) is None:
            document.put(path, {}, place)
    document.put(path, value, place)


def _step(document: Document, path: KeyPath, parts: list[str], override: str) -> tuple[KeyPath, list[str]]:
    """Take the next key off `parts`: return the keys or indices it stands for, and what is left."""
    container = document.value(path) if path else document.content
    if isinstance(container, list):
        for index, item in enumerate(container):
            if parts[0] == str(index):
                return (index,), parts[1:]
            if isinstance(item, Mapping) and parts[0] in item:
                return (index, parts[0]), parts[1:]
        names = [str(name) for item in container for name in (item if isinstance(item, Mapping) else [item])]
        raise ConfigurationError([Problem(f"{dotted(path)}: {unknown_name('entry', parts[0], names)}", override)])
    if not isinstance(container, Mapping):
        raise ConfigurationError(
            [Problem(f"{dotted(path)} is a single value; there is no '{parts[0]}' in it", override)]
        )
    # Keys may hold dots, as names of metrics do: the longest that is there wins.
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in container:
            return (".".join(parts[:length]),), parts[length:]
    if len(path) == 1 and path[0] in NAMED:
        unknown = unknown_name(NAMED[str(path[0])], parts[0], container)
        raise ConfigurationError([Problem(f"{unknown} --set changes values and adds no names.", override)])
    if path == ("compare", "margins"):
        return (".".join(parts),), []
    return (parts[0],), parts[1:]
